#include "k8s/inject/command.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <expected>
#include <fstream>
#include <iostream>

#include "k8s/inject/document.h"

namespace pillion::k8s {
namespace {

std::expected<std::string, std::string> read_all(const std::string& name) {
  std::ifstream file;
  if (name != "-") {
    errno = 0;
    file.open(name, std::ios::binary);
    if (!file) return std::unexpected(name + ": " + (errno != 0 ? std::strerror(errno) : "cannot be opened"));
  }
  std::istream& in = name == "-" ? std::cin : file;
  std::string text;
  char buffer[64 * 1024];
  // One byte beyond the limit is enough for `inject` to refuse it.
  while (text.size() <= kMaxYamlBytes && (in.read(buffer, sizeof buffer), in.gcount() > 0)) {
    text.append(buffer, static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) return std::unexpected(name + ": cannot be read");
  return text;
}

bool has_comment_line(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t first = text.find_first_not_of(" \t", at);
    if (first != std::string::npos && text[first] == '#') return true;
    at = std::min(text.find('\n', at), text.size() - 1) + 1;
  }
  return false;
}

}  // namespace

int run_inject(const InjectOptions& options, std::ostream& out, std::ostream& err) {
  if (options.files.empty()) {
    err << "pillion inject: give a file with -f, or -f - for the standard input\n";
    return 2;
  }
  std::string result;
  std::vector<std::string> notes;
  for (const std::string& name : options.files) {
    const auto text = read_all(name);
    if (!text) {
      err << "pillion inject: " << text.error() << "\n";
      return 1;
    }
    const std::string shown = name == "-" ? "stdin" : name;
    const auto injected = inject(*text, shown, options.config, &notes);
    if (!injected) {
      err << "pillion inject: " << injected.error().to_string() << "\n";
      return 1;
    }
    if (has_comment_line(*text)) notes.push_back(shown + ": comments are not kept");
    if (!result.empty() && !injected->empty()) result += "---\n";
    result += *injected;
  }
  for (const std::string& note : notes) err << note << "\n";
  out << result;
  return 0;
}

}  // namespace pillion::k8s
