// Builds a document's tree from the events of a parser (YAML or JSON) and holds it to the limits of document.h.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "xds/api/document.h"

namespace pillion::xds {

// How both parsers leave their recursion: caught in parse_documents, never seen outside of it.
struct ParseStop {
  int line;
  std::string reason;
};

class DocumentBuilder {
 public:
  explicit DocumentBuilder(std::string_view name);

  // Events, in document order. Each throws ParseStop at a limit or an error. The node stays valid until take().
  Node* null(int line);
  Node* scalar(int line, std::string text, bool quoted);
  Node* begin(Node::Kind kind, int line);
  void end();
  void key(int line, std::string text, bool ignored);  // In a map, before its value. An ignored one leaves no entry.
  void shared(int line, const Node* node);             // An alias of a node that is complete.

  bool wants_key() const {
    return !open_.empty() && open_.back().node->kind == Node::Kind::map && !open_.back().has_key;
  }
  bool is_open(const Node* node) const;
  Document take();

 private:
  struct Frame {
    Node* node;
    bool has_key = false;
    bool ignored = false;
    int key_line = 0;
    std::string key;
  };

  Node* add(int line);
  void attach(int line, const Node* node);

  std::shared_ptr<Document::Tree> tree_;
  std::vector<Frame> open_;
};

// The parsers. Both throw ParseStop.
std::vector<Document> parse_yaml(std::string_view text, std::string_view name);
std::vector<Document> parse_json(std::string_view text, std::string_view name);

}  // namespace pillion::xds
