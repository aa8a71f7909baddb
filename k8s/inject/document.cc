#include "k8s/inject/document.h"

#include <algorithm>

namespace pillion::k8s {
namespace {

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool is_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  if (text.empty() || text.front() < '0' || text.front() > '9') return false;
  if (text.size() > 1 && text.front() == '0' && text[1] != '.') return false;  // JSON has no leading zeros.
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(digits);
  if (text.empty()) return true;
  return text.size() > 1 && text.front() == '.' && text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

void append_json_string(std::string_view text, std::string& out) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      constexpr std::string_view kHex = "0123456789abcdef";
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[c & 0xf];
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_json(const Node& node, std::string& out) {
  switch (node.kind) {
    case Node::Kind::null: out += "null"; return;
    case Node::Kind::scalar: {
      const bool plain = node.style == Node::Style::plain;
      if (plain && is_one_of(node.scalar, {"true", "True", "TRUE"})) {
        out += "true";
      } else if (plain && is_one_of(node.scalar, {"false", "False", "FALSE"})) {
        out += "false";
      } else if (plain && is_number(node.scalar)) {
        out += node.scalar;
      } else {
        append_json_string(node.scalar, out);
      }
      return;
    }
    case Node::Kind::sequence:
      out += '[';
      for (const Node& item : node.items) {
        if (&item != &node.items.front()) out += ',';
        append_json(item, out);
      }
      out += ']';
      return;
    case Node::Kind::map:
      out += '{';
      for (const Entry& entry : node.entries) {
        if (&entry != &node.entries.front()) out += ',';
        append_json_string(entry.key.scalar, out);
        out += ':';
        append_json(entry.value, out);
      }
      out += '}';
      return;
  }
}

}  // namespace

bool Node::is_true() const {
  return is_scalar() && style == Style::plain &&
         is_one_of(scalar, {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "y", "Y"});
}

bool Node::is_integer() const {
  return is_scalar() && style == Style::plain && scalar.size() <= 10 && !scalar.empty() &&
         scalar.find_first_not_of("0123456789") == std::string::npos;
}

const Node* Node::find(std::string_view key) const {
  for (const Entry& entry : entries) {
    if (entry.key.scalar == key) return &entry.value;
  }
  return nullptr;
}

Node* Node::find(std::string_view key) {
  return const_cast<Node*>(std::as_const(*this).find(key));
}

Node& Node::set(std::string_view key, Node value) {
  kind = Kind::map;
  if (Node* old = find(key)) return *old = std::move(value);
  entries.push_back({text_node(key), std::move(value)});
  return entries.back().value;
}

void Node::erase(std::string_view key) {
  std::erase_if(entries, [&](const Entry& entry) { return entry.key.scalar == key; });
}

Node text_node(std::string_view text) {
  Node node;
  node.kind = Node::Kind::scalar;
  node.style = Node::Style::text;
  node.scalar = text;
  return node;
}

Node plain_node(std::string_view text) {
  Node node = text_node(text);
  node.style = Node::Style::plain;
  return node;
}

Node number_node(long long number) {
  return plain_node(std::to_string(number));
}

Node list_node(std::vector<Node> items) {
  Node node;
  node.kind = Node::Kind::sequence;
  node.items = std::move(items);
  return node;
}

Node texts_node(const std::vector<std::string>& texts) {
  Node node = list_node({});
  for (const std::string& text : texts) node.items.push_back(text_node(text));
  return node;
}

Node map_node(std::vector<std::pair<std::string_view, Node>> entries) {
  Node node;
  node.kind = Node::Kind::map;
  for (auto& [key, value] : entries) node.entries.push_back({text_node(key), std::move(value)});
  return node;
}

std::string to_json(const Node& node) {
  std::string out;
  append_json(node, out);
  return out;
}

}  // namespace pillion::k8s
