// A YAML or JSON document as a tree that remembers the line of every value. Both languages give the same tree, and
// messages are read from it (message_reader.h), never through a second text: an error can always name its line.
//
// A document is hostile until read: its size, depth and number of nodes have limits, and an alias shares its anchor's
// node instead of copying it, so that a few lines of aliases cannot fill the memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"

namespace pillion::xds {

inline constexpr size_t kMaxDocumentBytes = 64u << 20;
inline constexpr size_t kMaxDocuments = 10'000;  // In one file, between `---` lines.
inline constexpr size_t kMaxNodes = 4'000'000;   // Of one document, and visited while one message is read.
inline constexpr size_t kMaxNodeDepth = 100;     // Protobuf's own limit for nested messages.

struct Node {
  enum class Kind : uint8_t { null, scalar, list, map };
  struct Entry {
    std::string key;  // Empty in a list.
    int line = 0;     // 1-based; the key's line, or the item's.
    const Node* value = nullptr;
  };

  Kind kind = Kind::null;
  bool quoted = false;         // A scalar in quotes, a block scalar, or tagged !!str: text, never a number or a bool.
  int line = 0;                // 1-based.
  std::string text;            // Of a scalar, escapes resolved; UTF-8.
  std::vector<Entry> entries;  // Of a list or a map, in the order of the document. Keys of a map are unique.

  // The value of a map's key; null where there is none.
  const Node* find(std::string_view key) const;
};

// One document; a cheap handle, the tree is shared and never changes.
class Document {
 public:
  struct Tree {
    std::string name;  // The file, as errors print it.
    std::deque<Node> nodes;
    const Node* root = nullptr;
  };

  explicit Document(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

  const Node& root() const { return *tree_->root; }
  const std::string& name() const { return tree_->name; }
  ConfigError error_at(int line, std::string path, std::string reason) const {
    return {tree_->name, line, std::move(path), std::move(reason)};
  }

 private:
  std::shared_ptr<const Tree> tree_;
};

// Maps a field path to the line where it is written. Copying is cheap; the document stays alive with it.
class LineIndex {
 public:
  LineIndex() = default;  // Knows no lines.
  explicit LineIndex(Document document) : document_(std::make_shared<const Document>(std::move(document))) {}

  // The line of the field that a path names (proto or JSON names), or of its nearest parent that is written there;
  // 0 where nothing is known.
  int line_of(std::string_view path) const;

  // The error with the file's name and the line of its path.
  ConfigError place(ConfigError error) const;

 private:
  std::shared_ptr<const Document> document_;
};

enum class Format : uint8_t { yaml, json };

// JSON for names that end in ".json", else YAML.
Format format_of(std::string_view name);

// All documents of a text, empty ones left out (JSON holds exactly one). `name` appears in errors.
std::expected<std::vector<Document>, ConfigError> parse_documents(std::string_view text, std::string_view name,
                                                                  Format format);

// The same for a file, whose format follows from its name.
std::expected<std::vector<Document>, ConfigError> parse_file(const std::string& path);

}  // namespace pillion::xds
