// YAML as a tree of plain values: read by yaml-cpp, changed in place, written in the block style that kubectl prints.
// The order of keys, unknown fields and the difference between "true" and true survive; comments, anchors (they are
// written out) and the choice of quotes do not.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/config_error.h"

namespace pillion::k8s {

constexpr size_t kMaxYamlBytes = 16 * 1024 * 1024;
// Aliases are written out, so a small text can mean a large tree; this is what bounds it.
constexpr size_t kMaxYamlNodes = 1'000'000;
constexpr int kMaxYamlDepth = 100;

struct Entry;

struct Node {
  enum class Kind : uint8_t { null, scalar, sequence, map };
  // plain: unquoted in the source, so its type follows from its text. quoted: a string that was quoted there. text: a
  // string of ours, quoted where it has to be.
  enum class Style : uint8_t { plain, quoted, text };

  Kind kind = Kind::null;
  Style style = Style::plain;
  int line = 0;  // 1-based, of the source; 0 for what we made.
  std::string scalar;
  std::string tag;  // An explicit one (`!!binary`, `!x`), else empty.
  std::vector<Node> items;
  std::vector<Entry> entries;

  bool is_map() const { return kind == Kind::map; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_null() const { return kind == Kind::null; }
  bool is_true() const;     // As Kubernetes reads a boolean: true, yes, on.
  bool is_integer() const;  // An unquoted decimal number without a sign.

  const Node* find(std::string_view key) const;  // Of a map; nullptr where there is none.
  Node* find(std::string_view key);
  Node& set(std::string_view key, Node value);  // Replaces in place or adds at the end; makes a null node a map.
  void erase(std::string_view key);
};

struct Entry {
  Node key;
  Node value;
};

// What a tree of ours is made of.
Node text_node(std::string_view text);
Node plain_node(std::string_view text);  // Numbers and booleans.
Node number_node(long long number);
Node list_node(std::vector<Node> items);
Node texts_node(const std::vector<std::string>& texts);
Node map_node(std::vector<std::pair<std::string_view, Node>> entries);

// Each document of a stream. Refused, with the line: bad syntax, a key that is there twice, merge keys (<<), keys that
// are not scalars, and what passes the limits above.
std::expected<std::vector<Node>, ConfigError> load_documents(std::string_view yaml, std::string_view file_name);

// Documents are separated by "---"; empty ones are left out.
std::string write_documents(const std::vector<Node>& documents);

// The same value, whatever the quotes and lines.
bool same_value(const Node& a, const Node& b);

// The tree as compact JSON, types as in YAML's core schema.
std::string to_json(const Node& node);

}  // namespace pillion::k8s
