// Messages by the URL of their type, as a google.protobuf.Any and an xDS stream name them.
#pragma once

#include <google/protobuf/any.pb.h>
#include <google/protobuf/message.h>

#include <memory>
#include <string>
#include <string_view>

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

}  // namespace pillion::xds
