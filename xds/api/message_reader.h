// Reads a document's tree into any protobuf message by reflection, following proto3's JSON mapping: field names as in
// the proto file or in lowerCamelCase, enums by name or number, Duration "1.5s", Timestamp, wrappers, Struct, Value,
// FieldMask, bytes in base64, maps, and Any with its "@type" (types are looked up among the generated ones).
// What is written must be meant: an unknown field, two members of a oneof, a number out of range are errors.
//
// Envoy's own latitude is kept, so that its files are read as it reads them: YAML's words for booleans, hexadecimal
// and octal numbers, numbers and booleans in quotes, enum names in any case, one item in place of a list, and an
// unquoted number or boolean refused where text is wanted. Unlike there, a key given twice is an error.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"
#include "xds/api/document.h"

namespace google::protobuf {
class Message;
}

namespace pillion::xds {

inline constexpr size_t kMaxReadErrors = 20;

// Merges `node` into `out` (fields of lists are appended). The errors, at most `errors_max` (which is not 0), are in
// the order of the document; each path begins with `root_path`, each line is exact. What has an error is left out.
std::vector<ConfigError> read_message(const Document& document, const Node& node, std::string_view root_path,
                                      google::protobuf::Message& out, size_t errors_max = kMaxReadErrors);

}  // namespace pillion::xds
