#include <algorithm>
#include <array>
#include <vector>

#include "xds/api/document.h"
#include "xds/control/command.h"
#include "xds/control/http_get.h"

namespace pillion::xds::control {

namespace {

constexpr size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;

std::string text_of(const Node& node, std::string_view key) {
  const Node* value = node.find(key);
  return value != nullptr && value->kind == Node::Kind::scalar ? value->text : std::string();
}

const std::vector<Node::Entry>& list_of(const Node& node, std::string_view key) {
  static const std::vector<Node::Entry> kNone;
  const Node* value = node.find(key);
  return value != nullptr && value->kind == Node::Kind::list ? value->entries : kNone;
}

// What others wrote goes to a terminal: control characters do not.
std::string shown(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return text.empty() ? "-" : text;
}

std::vector<std::string> rejections_of(const Node& proxy) {
  std::vector<std::string> out;
  for (const auto& type : list_of(proxy, "types")) {
    std::string name = text_of(*type.value, "type");
    name = name.substr(name.rfind('.') + 1);
    for (const auto& rejection : list_of(*type.value, "rejections")) {
      const std::string resource = text_of(*rejection.value, "name");
      out.push_back(shown("rejected " + name + (resource.empty() ? "" : " " + resource) + ": " +
                          text_of(*rejection.value, "text")));
    }
  }
  return out;
}

std::string state_of(const Node& proxy, const std::string& revision, bool rejected) {
  if (rejected) return "rejected a part";
  return text_of(proxy, "revision_acked") == revision ? "in force" : "under way";
}

void print_row(std::ostream& out, const Row& row, const std::array<size_t, kColumns>& widths) {
  for (size_t i = 0; i < kColumns; ++i) {
    out << row[i];
    if (i + 1 < kColumns) out << std::string(widths[i] - row[i].size() + 2, ' ');
  }
  out << "\n";
}

void print_errors(const Node& root, std::ostream& out) {
  for (const auto& entry : list_of(root, "errors")) {
    const Node& e = *entry.value;
    ConfigError error{text_of(e, "file"), 0, text_of(e, "field"), text_of(e, "reason")};
    const std::string line = text_of(e, "line");
    if (!line.empty() && line != "0") error.file += ":" + line;
    out << "refused: " << shown(error.to_string()) << "\n";
  }
}

void print_status(const Node& root, std::ostream& out) {
  const auto& proxies = list_of(root, "proxies");
  const std::string revision = text_of(root, "revision");
  out << "revision " << revision << " of " << shown(text_of(root, "config")) << ", " << proxies.size()
      << (proxies.size() == 1 ? " proxy" : " proxies") << "\n";
  print_errors(root, out);
  if (proxies.empty()) return;
  std::vector<Row> rows{{"NODE", "IDENTITY", "ADDRESS", "PROTOCOL", "REVISION", "STATE"}};
  std::vector<std::vector<std::string>> notes{{}};
  for (const auto& entry : proxies) {
    const Node& proxy = *entry.value;
    notes.push_back(rejections_of(proxy));
    rows.push_back({shown(text_of(proxy, "node")), shown(text_of(proxy, "identity")), shown(text_of(proxy, "address")),
                    text_of(proxy, "protocol"), text_of(proxy, "revision_acked"),
                    state_of(proxy, revision, !notes.back().empty())});
  }
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    print_row(out, rows[i], widths);
    for (const std::string& note : notes[i]) out << "  " << note << "\n";
  }
}

}  // namespace

int run_status(const StatusOptions& options, std::ostream& out, std::ostream& err) {
  const auto fail = [&](const std::string& reason) {
    err << "pillion status: " << options.admin << ": " << reason << "\n";
    return 1;
  };
  const auto address = Address::parse(options.admin);
  if (!address) return fail("is not an address with a port, such as 127.0.0.1:15014");
  const auto answer = http_get(*address, "/status");
  if (!answer) return fail(answer.error());
  const auto documents = parse_documents(*answer, "/status", Format::json);
  if (!documents) return fail(documents.error().to_string());
  if (documents->empty() || documents->front().root().find("proxies") == nullptr) {
    return fail("is not the admin server of a control plane");
  }
  print_status(documents->front().root(), out);
  return 0;
}

}  // namespace pillion::xds::control
