// Reads a document's tree into any protobuf message by reflection, following proto3's JSON mapping: field names as in
// the proto file or in lowerCamelCase, enums by name or number, Duration "1.5s", Timestamp, wrappers, Struct, Value,
// FieldMask, bytes in base64, maps, and Any with its "@type" (types are looked up among the generated ones).
// What is written must be meant: an unknown field, two members of a oneof, a number out of range are errors.
//
// Envoy's own latitude is kept, so that its files are read as it reads them: YAML's words for booleans, hexadecimal
// and octal numbers, numbers and booleans in quotes, enum names in any case, one item in place of a list, and an
// unquoted number or boolean refused where text is wanted. Unlike there, a key given twice is an error.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "proxy/base/config_error.h"
#include "xds/api/document.h"

namespace google::protobuf {
class Message;
}

namespace pillion::xds {

// Merges `node` into `out` (fields of lists are appended). The path of an error begins with `root_path`; its line is
// exact. After an error `out` holds what had been read so far.
std::expected<void, ConfigError> read_message(const Document& document, const Node& node, std::string_view root_path,
                                              google::protobuf::Message& out);

}  // namespace pillion::xds
