// One scalar of a document into one field of a message, and the words of the errors about it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace google::protobuf {
class FieldDescriptor;
class Message;
}  // namespace google::protobuf

namespace pillion::xds {

// A text as errors show it: in quotes, shortened, without control characters.
std::string quoted_for_error(std::string_view text);

// "expected a whole number from 0 to 4294967295".
std::string wanted(const google::protobuf::FieldDescriptor& field);

// Stores into a singular field, or adds to a repeated one. `quoted` as in Node. What is wrong with the text
// otherwise; the text of a field that is marked sensitive is never repeated in it.
std::optional<std::string> store_scalar(std::string_view text, bool quoted,
                                        const google::protobuf::FieldDescriptor& field, google::protobuf::Message& out);

}  // namespace pillion::xds
