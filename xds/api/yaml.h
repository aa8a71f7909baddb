// Loads YAML or JSON into any protobuf message, with the file, line and field path of each error.
//
//   envoy::config::bootstrap::v3::Bootstrap bootstrap;
//   auto lines = xds::load_file(path, bootstrap);
//   if (!lines) return std::unexpected(lines.error());
//   for (const ConfigError& error : xds::validate(bootstrap, "", 10)) log(lines->place(error));
//
// The format follows from the name: JSON for "*.json", else YAML (which reads most JSON as well).
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"
#include "xds/api/document.h"
#include "xds/api/message_reader.h"

namespace pillion::xds {

// One document into `out`, which is cleared first. An empty file is an empty message; two documents are an error.
// Errors: one where the text is no YAML, else up to kMaxReadErrors. The result tells the lines of fields for errors
// that are found later.
std::expected<LineIndex, std::vector<ConfigError>> load_file(const std::string& path, google::protobuf::Message& out);
std::expected<LineIndex, std::vector<ConfigError>> load_text(std::string_view text, std::string_view name,
                                                             google::protobuf::Message& out);

// All documents of a file, for a caller who decides by their content what each is: Document::root(), then
// read_message(). Empty documents are left out.
std::expected<std::vector<Document>, ConfigError> load_documents(const std::string& path);

}  // namespace pillion::xds
