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

namespace pillion::xds {

inline constexpr std::string_view kTypeUrlPrefix = "type.googleapis.com/";

// Type URLs of the resources that travel over xDS.
inline constexpr std::string_view kListenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";
inline constexpr std::string_view kRouteType = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
inline constexpr std::string_view kClusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
inline constexpr std::string_view kEndpointType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
inline constexpr std::string_view kSecretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";

// "type.googleapis.com/a.b.C" -> "a.b.C": what follows the last slash. Empty where there is no slash.
std::string_view type_name(std::string_view type_url);

// The generated type that a URL names, or null.
const google::protobuf::Descriptor* find_type(std::string_view type_url);

// An empty message of a generated type; never null.
std::unique_ptr<google::protobuf::Message> new_message(const google::protobuf::Descriptor& type);

// The sentence of the error about a type that is not known; `shown` is how the error names it.
std::string unknown_type(std::string_view shown, std::string_view type_url);

// The same message always gives the same bytes (maps are sorted), so that content can be compared and hashed.
void pack_deterministic(const google::protobuf::Message& message, std::string_view type_url,
                        google::protobuf::Any& out);
google::protobuf::Any pack(const google::protobuf::Message& message);

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
