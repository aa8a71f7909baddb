#include "xds/api/yaml.h"

#include <google/protobuf/message.h>

namespace pillion::xds {

namespace {

std::expected<LineIndex, ConfigError> load(std::expected<std::vector<Document>, ConfigError> documents,
                                           google::protobuf::Message& out) {
  if (!documents) return std::unexpected(std::move(documents.error()));
  out.Clear();
  if (documents->empty()) return LineIndex();
  if (documents->size() > 1) {
    const Document& second = (*documents)[1];
    return std::unexpected(second.error_at(second.root().line, "", "a second document begins here; one is expected"));
  }
  const Document& document = documents->front();
  if (auto read = read_message(document, document.root(), "", out); !read) {
    return std::unexpected(std::move(read.error()));
  }
  return LineIndex(document);
}

}  // namespace

std::expected<LineIndex, ConfigError> load_file(const std::string& path, google::protobuf::Message& out) {
  return load(parse_file(path), out);
}

std::expected<LineIndex, ConfigError> load_text(std::string_view text, std::string_view name,
                                                google::protobuf::Message& out) {
  return load(parse_documents(text, name, format_of(name)), out);
}

std::expected<std::vector<Document>, ConfigError> load_documents(const std::string& path) {
  return parse_file(path);
}

}  // namespace pillion::xds
