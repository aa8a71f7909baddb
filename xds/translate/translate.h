// Resources of the xDS API into the proxy's own immutable values. Pure functions: a message in, a value or an error
// out; the only thing they read besides is a file that a DataSource names.
//
// A field that is set means what Envoy means by it. A field that is set and has no meaning here is an error that names
// it, unless ignoring it changes nothing that a user can see (known_fields.cc lists those, with the reason).
//
//   auto listener = translate_listener(message, options);
//   if (!listener) reject(listener.error());  // path "filter_chains[0].filters[1].typed_config.stat_prefix"
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"
#include "proxy/base/tls_material.h"
#include "proxy/config/cluster.h"
#include "proxy/config/listener.h"
#include "proxy/config/route.h"

namespace google::protobuf {
class Message;
}
namespace envoy::config::cluster::v3 {
class Cluster;
}
namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}
namespace envoy::config::listener::v3 {
class Listener;
}
namespace envoy::config::route::v3 {
class RouteConfiguration;
}
namespace envoy::extensions::transport_sockets::tls::v3 {
class Secret;
}

namespace pillion::xds {

// The fields of a message that somebody reads: {"envoy.extensions.filters.http.fault.v3.HTTPFault", "delay abort"}.
// Any other field that is set is refused.
struct KnownFields {
  std::string_view type;    // full name
  std::string_view fields;  // separated by spaces
};

// Makes the configuration of a filter from its message, which keeps the constraints of its proto file and has only
// fields that are known set. `path` begins the path of an error.
using CompileFilter = std::expected<std::shared_ptr<const config::FilterConfig>, ConfigError> (*)(
    const google::protobuf::Message& message, std::string_view path);

struct FilterType {
  std::string_view name;            // "envoy.filters.http.fault"
  std::string_view config_type;     // "envoy.extensions.filters.http.fault.v3.HTTPFault"
  CompileFilter compile = nullptr;  // of the entry in the chain
  std::string_view route_type;      // of typed_per_filter_config; often the same; empty: it has none
  CompileFilter compile_route = nullptr;
  std::span<const KnownFields> known;  // of both types and of what is in them
};

// The filters that are built in beside those that translation knows by itself (the HTTP connection manager, the TCP
// proxy, the router and the listener filters). proxy/cli puts it together.
struct FilterTable {
  std::vector<FilterType> http;
  std::vector<FilterType> network;
};

struct TranslationOptions {
  const FilterTable* filters = nullptr;  // null: none
  // Where it is given, inline routes that validate (validate_clusters, true unless set) may name only these.
  const std::set<std::string, std::less<>>* clusters = nullptr;
};

template <class T>
using Translated = std::expected<std::shared_ptr<const T>, ConfigError>;

// `path` begins the path of an error. The message's own constraints (validate.rules) are checked here as well.
Translated<config::Listener> translate_listener(const envoy::config::listener::v3::Listener& message,
                                                const TranslationOptions& options = {}, std::string_view path = {});
Translated<config::RouteConfiguration> translate_route_configuration(
    const envoy::config::route::v3::RouteConfiguration& message, const TranslationOptions& options = {},
    std::string_view path = {});
Translated<config::Cluster> translate_cluster(const envoy::config::cluster::v3::Cluster& message,
                                              const TranslationOptions& options = {}, std::string_view path = {});
Translated<config::EndpointAssignment> translate_endpoints(
    const envoy::config::endpoint::v3::ClusterLoadAssignment& message, const TranslationOptions& options = {},
    std::string_view path = {});

// A certificate with its key, or a trust bundle. spiffe_id, not_before and not_after are left to who can read
// certificates. Values never appear in an error.
Translated<TlsMaterial> translate_secret(const envoy::extensions::transport_sockets::tls::v3::Secret& message,
                                         const TranslationOptions& options = {}, std::string_view path = {});

}  // namespace pillion::xds
