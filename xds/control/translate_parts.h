// The pieces that translate.cc is put together from; internal to the translation.
#pragma once

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include <string>
#include <string_view>
#include <vector>

#include "xds/api/any.h"
#include "xds/control/translate.h"

namespace pillion::xds::control {

namespace core = envoy::config::core::v3;
namespace listener = envoy::config::listener::v3;
namespace route = envoy::config::route::v3;
namespace cluster = envoy::config::cluster::v3;
namespace endpoint = envoy::config::endpoint::v3;
namespace hcm = envoy::extensions::filters::network::http_connection_manager::v3;

inline constexpr const char* kPassthroughCluster = "PassthroughCluster";
inline constexpr const char* kBlackHoleCluster = "BlackHoleCluster";
inline constexpr const char* kInboundPassthroughCluster = "InboundPassthroughCluster";
inline constexpr const char* kDirectSubset = "direct";

// What every part looks at.
struct Scope {
  const Model& model;
  const NodeClass& node;
  const TranslateOptions& options;
  MeshSettings settings;  // of the node's namespace
};

// A sidecar that is no Envoy: it has its keys in a store of its own.
inline bool is_pillion(const NodeClass& node) {
  return node.kind == NodeClass::Kind::sidecar && node.tls_files.empty();
}

// Which endpoints of a service port run a sidecar, and as whom.
struct Peers {
  bool some = false;                    // at least one has a sidecar
  bool all = false;                     // every one has
  std::vector<std::string> spiffe_ids;  // of those that have, sorted
};
Peers peers_of(const Scope& scope, const Service& service, const ServicePort& port);

std::string route_config_name(const Scope& scope, const Service& service, const ServicePort& port);  // HOST:PORT
std::string mesh_sni(const Scope& scope, const Service& service, const ServicePort& port);

// === translate_tls.cc ===
core::TransportSocket raw_buffer_socket();
core::TransportSocket upstream_tls(const Scope& scope, const std::vector<std::string>& spiffe_ids,
                                   const std::string& sni, const std::vector<std::string>& alpn);
core::TransportSocket downstream_mtls(const Scope& scope, const std::vector<std::string>& alpn);

// === translate_http.cc ===
struct HttpOptions {
  std::string stat_prefix;
  bool inbound = false;
  bool peer_identity = false;  // the connection proves a SPIFFE ID: hand it on as x-forwarded-client-cert
};
// Everything but where the routes come from.
hcm::HttpConnectionManager http_manager(const Scope& scope, const HttpOptions& options);
listener::Filter http_filter(const hcm::HttpConnectionManager& manager);
listener::Filter tcp_filter(const Scope& scope, const std::string& stat_prefix, const std::string& cluster_name);
void set_ads(core::ConfigSource& source);
void set_address(core::Address& address, const std::string& ip, uint16_t port);
listener::ListenerFilter listener_filter(std::string_view name);  // "original_dst", "tls_inspector", "http_inspector"

// === translate_routes.cc ===
// The routes of one HTTP port of a service, as the node's namespace sees them.
route::RouteConfiguration route_config(const Scope& scope, const Service& service, const ServicePort& port);
// Sends everything to the application.
route::RouteConfiguration inbound_route_config(const std::string& cluster_name);
route::RetryPolicy retry_policy(const Retries& retries, const RouteRule* rule);

// === translate_clusters.cc ===
void add_service_cluster(const Scope& scope, const Service& service, const ServicePort& port, ResourceSet& out);
void add_common_clusters(const Scope& scope, ResourceSet& out);
void add_inbound_cluster(const Scope& scope, uint16_t port, Protocol protocol, ResourceSet& out);

// === translate_outbound.cc, translate_inbound.cc ===
void add_outbound(const Scope& scope, ResourceSet& out);
void add_grpc_listeners(const Scope& scope, ResourceSet& out);
void add_inbound(const Scope& scope, ResourceSet& out);

// A duration as protobuf wants it.
template <class Proto>
void set_duration(Proto& out, Milliseconds value) {
  out.set_seconds(value.count() / 1000);
  out.set_nanos(static_cast<int32_t>(value.count() % 1000 * 1'000'000));
}

}  // namespace pillion::xds::control
