// Checks a message against the constraints that its proto files declare (protoc-gen-validate's `validate.rules`), by
// reflection, so that every resource is held to what Envoy's API promises before anything is made of it.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"

namespace google::protobuf {
class Message;
}

namespace pillion::xds {

inline constexpr size_t kMaxValidateDepth = 100;  // Nested messages, those inside of Any counted.

// What is wrong with `message` and everything in it, messages in Any included where their type is known; at most
// `max_errors`, in the order of the fields' declaration. Paths begin with `root_path`; files and lines are not known
// here (LineIndex::place adds them). Values are never repeated, they may be secrets.
std::vector<ConfigError> validate(const google::protobuf::Message& message, std::string_view root_path = {},
                                  size_t max_errors = 1);

}  // namespace pillion::xds
