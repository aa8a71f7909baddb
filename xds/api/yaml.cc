#include "xds/api/yaml.h"

#include <google/protobuf/message.h>

namespace pillion::xds {

namespace {

std::expected<LineIndex, std::vector<ConfigError>> load(std::expected<std::vector<Document>, ConfigError> documents,
                                                        google::protobuf::Message& out) {
  if (!documents) return std::unexpected(std::vector{std::move(documents.error())});
  out.Clear();
  if (documents->empty()) return LineIndex();
  if (documents->size() > 1) {
    const Document& second = (*documents)[1];
    return std::unexpected(
        std::vector{second.error_at(second.root().line, "", "a second document begins here; one is expected")});
  }
  const Document& document = documents->front();
  if (auto errors = read_message(document, document.root(), "", out); !errors.empty()) {
    return std::unexpected(std::move(errors));
  }
  return LineIndex(document);
}

}  // namespace

std::expected<LineIndex, std::vector<ConfigError>> load_file(const std::string& path, google::protobuf::Message& out) {
  return load(parse_file(path), out);
}

std::expected<LineIndex, std::vector<ConfigError>> load_text(std::string_view text, std::string_view name,
                                                             google::protobuf::Message& out) {
  return load(parse_documents(text, name, format_of(name)), out);
}

std::expected<std::vector<Document>, ConfigError> load_documents(const std::string& path) {
  return parse_file(path);
}

}  // namespace pillion::xds
