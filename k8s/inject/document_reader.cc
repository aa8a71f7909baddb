// The reading half of document.h. yaml-cpp parses, and its events build the tree here: its own trees and LoadAll are
// not used, since LoadAll (0.7) never returns on a stray bracket after a document.

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>

#include "k8s/inject/document.h"

namespace pillion::k8s {
namespace {

struct Extent {
  size_t nodes = 1;
  int depth = 1;
};

Extent extent_of(const Node& node) {
  Extent extent;
  const auto add = [&](const Node& child) {
    const Extent inner = extent_of(child);
    extent.nodes += inner.nodes;
    extent.depth = std::max(extent.depth, inner.depth + 1);
  };
  for (const Node& item : node.items) add(item);
  for (const Entry& entry : node.entries) {
    add(entry.key);
    add(entry.value);
  }
  return extent;
}

// Builds trees from the parser's events. The first error stays, and all later events are ignored.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(std::string_view yaml) : yaml_(yaml) {}

  std::vector<Node> documents;
  std::optional<ConfigError> error;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!may_start_document(mark)) {
      fail(line_of(mark), "text follows the end of the document: separate documents by a line of ---");
    }
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Node node;
    node.line = line_of(mark);
    // yaml-cpp gives a null the place of what follows it; the key before it is what a reader looks for.
    if (!open_.empty() && open_.back().key) node.line = open_.back().key->line;
    add(std::move(node), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Node node = make(Node::Kind::scalar, mark, tag);
    node.style = tag == "?" ? Node::Style::plain : Node::Style::quoted;
    node.scalar = value;
    add(std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (error) return;
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) return fail(line_of(mark), "the alias refers to what it is part of");
    const Extent extent = extent_of(found->second);
    if (!take(extent.nodes, line_of(mark))) return;
    if (static_cast<int>(open_.size()) + extent.depth > kMaxYamlDepth) return fail_depth(line_of(mark));
    place(Node(found->second));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(make(Node::Kind::sequence, mark, tag), anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(make(Node::Kind::map, mark, tag), anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  // A sequence or a map that has not ended yet.
  struct Open {
    Node node;
    YAML::anchor_t anchor;
    std::optional<Node> key;           // Of a map: read, and its value not yet.
    std::map<std::string, int> lines;  // Of a map: the line of each key.
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }

  static Node make(Node::Kind kind, const YAML::Mark& mark, const std::string& tag) {
    Node node;
    node.kind = kind;
    node.line = line_of(mark);
    if (tag != "?" && tag != "!") node.tag = tag;
    return node;
  }

  void fail(int line, std::string reason) {
    if (!error) error = ConfigError{.line = line, .reason = std::move(reason)};
  }
  void fail_depth(int line) { fail(line, "is nested deeper than " + std::to_string(kMaxYamlDepth)); }

  // The parser begins a document at whatever it finds after another one, and where it cannot read that, it begins
  // there again and again. A document may begin at the start, at "---", and anywhere after a line of "...".
  bool may_start_document(const YAML::Mark& mark) {
    if (mark.pos == last_start_) return false;
    last_start_ = mark.pos;
    for (; cursor_line_ < mark.line; ++cursor_line_)
      cursor_ = std::min(yaml_.find('\n', cursor_), yaml_.size() - 1) + 1;
    return documents.empty() || yaml_.substr(cursor_).starts_with("---") || yaml_.contains("\n...");
  }

  bool take(size_t nodes, int line) {
    nodes_ += nodes;
    if (nodes_ > kMaxYamlNodes) fail(line, "has more than " + std::to_string(kMaxYamlNodes) + " nodes");
    return nodes_ <= kMaxYamlNodes;
  }

  void begin(Node node, YAML::anchor_t anchor) {
    if (error || !take(1, node.line)) return;
    if (static_cast<int>(open_.size()) >= kMaxYamlDepth) return fail_depth(node.line);
    if (!open_.empty() && open_.back().node.is_map() && !open_.back().key) {
      return fail(node.line, "a key has to be plain text");
    }
    open_.push_back({std::move(node), anchor, std::nullopt, {}});
  }

  void end() {
    if (error) return;
    Open done = std::move(open_.back());
    open_.pop_back();
    remember(done.node, done.anchor);
    if (!error) place(std::move(done.node));
  }

  void add(Node node, YAML::anchor_t anchor) {
    if (error || !take(1, node.line)) return;
    remember(node, anchor);
    if (!error) place(std::move(node));
  }

  // The copy counts too: anchors inside anchors would otherwise multiply what is kept.
  void remember(const Node& node, YAML::anchor_t anchor) {
    if (anchor == YAML::NullAnchor || !take(extent_of(node).nodes, node.line)) return;
    anchors_[anchor] = node;
  }

  void place(Node node) {
    if (open_.empty()) {
      documents.push_back(std::move(node));
    } else if (open_.back().node.is_sequence()) {
      open_.back().node.items.push_back(std::move(node));
    } else if (open_.back().key) {
      open_.back().node.entries.push_back({std::move(*open_.back().key), std::move(node)});
      open_.back().key.reset();
    } else {
      place_key(std::move(node));
    }
  }

  void place_key(Node key) {
    if (!key.is_scalar()) return fail(key.line, "a key has to be plain text");
    if (key.style == Node::Style::plain && key.scalar == "<<") {
      return fail(key.line, "merge keys (<<) are not supported: write the fields out");
    }
    const auto [first, fresh] = open_.back().lines.try_emplace(key.scalar, key.line);
    if (!fresh) {
      return fail(key.line,
                  "the key \"" + key.scalar + "\" is there twice, first in line " + std::to_string(first->second));
    }
    open_.back().key = std::move(key);
  }

  std::string_view yaml_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Node> anchors_;
  size_t nodes_ = 0;
  int last_start_ = -1;  // In characters.
  int cursor_line_ = 0;  // How far the search for lines has come, and where that is.
  size_t cursor_ = 0;
};

}  // namespace

std::expected<std::vector<Node>, ConfigError> load_documents(std::string_view yaml, std::string_view file_name) {
  const auto fail = [&](int line, std::string reason) {
    return std::unexpected(ConfigError{.file = std::string(file_name), .line = line, .reason = std::move(reason)});
  };
  if (yaml.size() > kMaxYamlBytes) return fail(0, "is longer than " + std::to_string(kMaxYamlBytes) + " bytes");
  TreeBuilder builder(yaml);
  try {
    std::istringstream input{std::string(yaml)};
    YAML::Parser parser(input);
    while (!builder.error && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    return fail(error.mark.is_null() ? 0 : error.mark.line + 1, "is not YAML: " + error.msg);
  }
  if (builder.error) return fail(builder.error->line, std::move(builder.error->reason));
  return std::move(builder.documents);
}

}  // namespace pillion::k8s
