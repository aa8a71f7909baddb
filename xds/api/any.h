// What stands in a google.protobuf.Any: its type by URL, its message, and the two TypedStructs, which carry the fields
// of a message as a google.protobuf.Struct for senders that do not have its type.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/config_error.h"
#include "xds/api/type_url.h"

namespace pillion::xds {

// The type that an Any finally holds: that of a TypedStruct's content where it is one, else its own. Empty for an
// empty Any, or a TypedStruct whose bytes are not one.
std::string content_type(const google::protobuf::Any& any);

// The message in an Any, TypedStructs resolved. `path` begins the path of an error.
std::expected<std::unique_ptr<google::protobuf::Message>, ConfigError> unpack_message(const google::protobuf::Any& any,
                                                                                      std::string_view path = {});

// Fills `out` from an Any that must hold its type, directly or as a TypedStruct.
std::expected<void, ConfigError> unpack_into(const google::protobuf::Any& any, google::protobuf::Message& out,
                                             std::string_view path = {});

template <class T>
std::expected<T, ConfigError> unpack(const google::protobuf::Any& any, std::string_view path = {}) {
  T message;
  if (auto done = unpack_into(any, message, path); !done) return std::unexpected(std::move(done.error()));
  return message;
}

}  // namespace pillion::xds
