// YAML into the tree, by yaml-cpp's events: its own node type forgets where aliases were and copies what they name.
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <sstream>

#include "xds/api/document_builder.h"

namespace pillion::xds {

namespace {

int line_of(const YAML::Mark& mark) {
  return mark.line + 1;
}

class Events final : public YAML::EventHandler {
 public:
  explicit Events(std::string_view name) : builder_(name) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (builder_.wants_key()) throw ParseStop{line_of(mark), "a key is empty"};
    remember(anchor, builder_.null(line_of(mark)));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (builder_.wants_key()) {
      // Envoy's files put anchors under a key that is tagged so, and read nothing else of it.
      builder_.key(line_of(mark), value, tag == "!ignore");
      return;
    }
    const bool quoted = tag == "!" || tag == "tag:yaml.org,2002:str";
    remember(anchor, builder_.scalar(line_of(mark), value, quoted));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (builder_.wants_key()) throw ParseStop{line_of(mark), "a key cannot be an alias"};
    const Node* node = anchor < anchors_.size() ? anchors_[anchor] : nullptr;
    if (node == nullptr) throw ParseStop{line_of(mark), "the alias names no anchor"};
    if (builder_.is_open(node)) throw ParseStop{line_of(mark), "the alias names a value that contains it"};
    builder_.shared(line_of(mark), node);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Node::Kind::list, mark, anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Node::Kind::map, mark, anchor);
  }
  void OnSequenceEnd() override { builder_.end(); }
  void OnMapEnd() override { builder_.end(); }

  Document take() { return builder_.take(); }

 private:
  void begin(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (builder_.wants_key()) throw ParseStop{line_of(mark), "a key must be a plain text"};
    remember(anchor, builder_.begin(kind, line_of(mark)));
  }

  void remember(YAML::anchor_t anchor, const Node* node) {
    if (anchor == 0) return;  // yaml-cpp counts a document's anchors from 1.
    if (anchor >= anchors_.size()) anchors_.resize(anchor + 1);
    anchors_[anchor] = node;
  }

  DocumentBuilder builder_;
  std::vector<const Node*> anchors_;
};

}  // namespace

std::vector<Document> parse_yaml(std::string_view text, std::string_view name) {
  std::vector<Document> documents;
  std::istringstream in{std::string(text)};
  try {
    YAML::Parser parser(in);
    for (Events events(name); parser.HandleNextDocument(events); events = Events(name)) {
      Document document = events.take();
      if (document.root().kind == Node::Kind::null) continue;
      if (documents.size() >= kMaxDocuments) {
        throw ParseStop{document.root().line, "more than " + std::to_string(kMaxDocuments) + " documents"};
      }
      documents.push_back(std::move(document));
    }
  } catch (const YAML::Exception& error) {
    throw ParseStop{error.mark.is_null() ? 0 : line_of(error.mark), "not YAML: " + error.msg};
  }
  return documents;
}

}  // namespace pillion::xds
