#include "xds/api/document.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "xds/api/document_builder.h"
#include "xds/api/field_path.h"
#include "xds/api/scalar.h"

namespace pillion::xds {

namespace {

// The entry that a step of a path names. A list that holds one item may be written without its brackets, so that
// an index into anything else is that thing itself.
const Node::Entry* entry_of(const Node& node, const PathStep& step) {
  if (step.kind == PathStep::Kind::index) {
    return node.kind == Node::Kind::list && step.index < node.entries.size() ? &node.entries[step.index] : nullptr;
  }
  for (const Node::Entry& entry : node.entries) {
    if (entry.key == step.name) return &entry;
  }
  for (const Node::Entry& entry : node.entries) {
    if (step.kind == PathStep::Kind::field && is_same_field(entry.key, step.name)) return &entry;
  }
  return nullptr;
}

}  // namespace

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (kind == Kind::map && entry.key == key) return entry.value;
  }
  return nullptr;
}

int LineIndex::line_of(std::string_view path) const {
  if (document_ == nullptr) return 0;
  const Node* node = &document_->root();
  int line = node->line;
  while (const auto step = next_step(path)) {
    if (step->kind == PathStep::Kind::index && node->kind != Node::Kind::list) continue;
    const Node::Entry* entry = entry_of(*node, *step);
    if (entry == nullptr) break;
    node = entry->value;
    line = entry->line;
  }
  return line;
}

ConfigError LineIndex::place(ConfigError error) const {
  if (document_ == nullptr) return error;
  error.file = document_->name();
  error.line = line_of(error.path);
  return error;
}

Format format_of(std::string_view name) {
  return name.ends_with(".json") ? Format::json : Format::yaml;
}

std::expected<std::vector<Document>, ConfigError> parse_documents(std::string_view text, std::string_view name,
                                                                  Format format) {
  const auto fail = [name](int line, std::string reason) {
    return std::unexpected(ConfigError{std::string(name), line, "", std::move(reason)});
  };
  if (text.size() > kMaxDocumentBytes) {
    return fail(0, "larger than " + std::to_string(kMaxDocumentBytes) + " bytes");
  }
  if (const size_t valid = valid_utf8_prefix(text); valid < text.size()) {
    return fail(1 + static_cast<int>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(valid), '\n')),
                "not UTF-8");
  }
  try {
    return format == Format::json ? parse_json(text, name) : parse_yaml(text, name);
  } catch (const ParseStop& stop) {
    // The YAML parser quotes single bytes, also of a longer character.
    return fail(stop.line, stop.reason.substr(0, valid_utf8_prefix(stop.reason)));
  }
}

std::expected<std::vector<Document>, ConfigError> parse_file(const std::string& path) {
  const auto fail = [&path](std::string reason) {
    return std::unexpected(ConfigError{path, 0, "", std::move(reason)});
  };
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(std::string("cannot be opened: ") + std::strerror(errno));
  std::string text;
  std::array<char, 64 * 1024> chunk;
  while (in && text.size() <= kMaxDocumentBytes) {
    in.read(chunk.data(), chunk.size());
    text.append(chunk.data(), static_cast<size_t>(in.gcount()));
  }
  if (in.bad()) return fail(std::string("cannot be read: ") + std::strerror(errno));
  return parse_documents(text, path, format_of(path));
}

}  // namespace pillion::xds
