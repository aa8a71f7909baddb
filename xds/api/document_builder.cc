#include "xds/api/document_builder.h"

#include <algorithm>

namespace pillion::xds {

namespace {

// Sorted once when the map ends, so that a map of a million keys stays cheap.
void check_unique_keys(const Node& map) {
  std::vector<const Node::Entry*> sorted;
  sorted.reserve(map.entries.size());
  for (const Node::Entry& entry : map.entries) sorted.push_back(&entry);
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key < b->key; });
  const auto twice =
      std::adjacent_find(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->key == b->key; });
  if (twice == sorted.end()) return;
  const Node::Entry* first = *twice;
  const Node::Entry* second = *(twice + 1);
  throw ParseStop{second->line,
                  "\"" + first->key.substr(0, 60) + "\" is already given on line " + std::to_string(first->line)};
}

}  // namespace

DocumentBuilder::DocumentBuilder(std::string_view name) : tree_(std::make_shared<Document::Tree>()) {
  tree_->name = name;
}

Node* DocumentBuilder::add(int line) {
  if (tree_->nodes.size() >= kMaxNodes) {
    throw ParseStop{line, "the document has more than " + std::to_string(kMaxNodes) + " values"};
  }
  Node* node = &tree_->nodes.emplace_back();
  node->line = line;
  return node;
}

void DocumentBuilder::attach(int line, const Node* node) {
  if (open_.empty()) {
    tree_->root = node;
    return;
  }
  Frame& frame = open_.back();
  if (frame.node->kind == Node::Kind::list) {
    frame.node->entries.push_back({{}, line, node});
    return;
  }
  frame.has_key = false;
  if (!frame.ignored) frame.node->entries.push_back({std::move(frame.key), frame.key_line, node});
}

Node* DocumentBuilder::null(int line) {
  Node* node = add(line);
  attach(line, node);
  return node;
}

Node* DocumentBuilder::scalar(int line, std::string text, bool quoted) {
  Node* node = add(line);
  node->kind = Node::Kind::scalar;
  node->text = std::move(text);
  node->quoted = quoted;
  attach(line, node);
  return node;
}

Node* DocumentBuilder::begin(Node::Kind kind, int line) {
  if (open_.size() >= kMaxNodeDepth) {
    throw ParseStop{line, "nested deeper than " + std::to_string(kMaxNodeDepth) + " levels"};
  }
  Node* node = add(line);
  node->kind = kind;
  attach(line, node);
  open_.push_back({node});
  return node;
}

void DocumentBuilder::end() {
  if (open_.back().node->kind == Node::Kind::map) check_unique_keys(*open_.back().node);
  open_.pop_back();
}

void DocumentBuilder::key(int line, std::string text, bool ignored) {
  Frame& frame = open_.back();
  frame.key = std::move(text);
  frame.key_line = line;
  frame.has_key = true;
  frame.ignored = ignored;
}

void DocumentBuilder::shared(int line, const Node* node) {
  attach(line, node);
}

bool DocumentBuilder::is_open(const Node* node) const {
  return std::any_of(open_.begin(), open_.end(), [node](const Frame& frame) { return frame.node == node; });
}

Document DocumentBuilder::take() {
  return Document(std::move(tree_));
}

}  // namespace pillion::xds
