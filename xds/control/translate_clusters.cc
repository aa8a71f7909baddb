// Clusters and their endpoints.
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include <algorithm>
#include <map>

#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

namespace upstreams = envoy::extensions::upstreams::http::v3;

constexpr const char* kProtocolOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
constexpr const char* kTlsModeKey = "tlsMode";
constexpr const char* kTlsMode = "pillion";
constexpr const char* kTransportSocketMatch = "envoy.transport_socket_match";
// Source address of connections to the application: the redirect rules leave it alone, so that they do not come back.
constexpr const char* kInboundBindV4 = "127.0.0.6";
constexpr const char* kInboundBindV6 = "::6";

// A peer that vanished without a word is found by PING. Only between sidecars: gRPC servers take pings for an attack.
constexpr Milliseconds kPingInterval{10000};
constexpr Milliseconds kPingTimeout{3000};

// agreed: by ALPN, HTTP/2 before HTTP/1.1
enum class Wire : uint8_t { http1, http2, agreed, as_received, tcp };

// HTTP/1 is multiplexed where there is a sidecar at the other end. An Envoy takes "agreed" only for clusters all of
// whose sockets know ALPN, which a plain-text one does not, so it is told.
Wire wire_of_http1(const Scope& scope, const Peers& peers, const ConnectionPool& pool) {
  if (!pool.upgrade_to_http2 || !peers.some) return Wire::http1;
  if (is_pillion(scope.node)) return Wire::agreed;
  return peers.all ? Wire::http2 : Wire::http1;
}

// What goes over the wire to the endpoints of a port.
Wire wire_of(const Scope& scope, const ServicePort& port, const Peers& peers, const ConnectionPool& pool) {
  switch (port.protocol) {
    case Protocol::tcp: return Wire::tcp;
    case Protocol::http2:
    case Protocol::grpc: return Wire::http2;
    case Protocol::http1: return wire_of_http1(scope, peers, pool);
    case Protocol::detect: return Wire::as_received;
  }
  return Wire::tcp;
}

// Where the protocol follows the client's, the pool of each protocol offers its own ALPN, so none is named here.
std::vector<std::string> alpn_of(Wire wire) {
  if (wire == Wire::agreed) return {"h2", "http/1.1"};
  if (wire == Wire::http2) return {"h2"};
  if (wire == Wire::http1) return {"http/1.1"};
  return {};
}

void set_protocol(cluster::Cluster& out, Wire wire, const ConnectionPool& pool, bool ping) {
  if (wire == Wire::tcp) return;
  upstreams::HttpProtocolOptions options;
  auto fill_h2 = [&](core::Http2ProtocolOptions& h2) {
    h2.set_allow_connect(true);
    if (ping) {
      set_duration(*h2.mutable_connection_keepalive()->mutable_interval(), kPingInterval);
      set_duration(*h2.mutable_connection_keepalive()->mutable_timeout(), kPingTimeout);
    }
    if (pool.max_concurrent_streams) h2.mutable_max_concurrent_streams()->set_value(*pool.max_concurrent_streams);
  };
  // Trailers are the application's, whichever protocol carries them.
  auto fill_h1 = [](core::Http1ProtocolOptions& h1) { h1.set_enable_trailers(true); };
  if (wire == Wire::as_received) {
    auto& as_received = *options.mutable_use_downstream_protocol_config();
    fill_h1(*as_received.mutable_http_protocol_options());
    // With them a Pillion may carry HTTP/1 in it; HTTP/2 itself passes without them too.
    if (pool.upgrade_to_http2) fill_h2(*as_received.mutable_http2_protocol_options());
  } else if (wire == Wire::agreed) {
    fill_h1(*options.mutable_auto_config()->mutable_http_protocol_options());
    fill_h2(*options.mutable_auto_config()->mutable_http2_protocol_options());
  } else if (wire == Wire::http2) {
    fill_h2(*options.mutable_explicit_http_config()->mutable_http2_protocol_options());
  } else {
    fill_h1(*options.mutable_explicit_http_config()->mutable_http_protocol_options());
  }
  auto& common = *options.mutable_common_http_protocol_options();
  if (pool.idle_timeout) set_duration(*common.mutable_idle_timeout(), *pool.idle_timeout);
  if (pool.max_requests_per_connection) {
    common.mutable_max_requests_per_connection()->set_value(*pool.max_requests_per_connection);
  }
  (*out.mutable_typed_extension_protocol_options())[kProtocolOptions] = pack(options);
}

void set_outlier(cluster::Cluster& out, const OutlierDetection& outlier) {
  if (!outlier.enabled) return;
  auto& o = *out.mutable_outlier_detection();
  o.set_split_external_local_origin_errors(true);
  // Zero switches a criterion off, which the API says with its enforcing percentage.
  auto enforcing = [](uint32_t n) { return n > 0 ? 100u : 0u; };
  o.mutable_consecutive_5xx()->set_value(std::max(1u, outlier.consecutive_5xx));
  o.mutable_enforcing_consecutive_5xx()->set_value(enforcing(outlier.consecutive_5xx));
  o.mutable_consecutive_gateway_failure()->set_value(std::max(1u, outlier.consecutive_gateway_errors));
  o.mutable_enforcing_consecutive_gateway_failure()->set_value(enforcing(outlier.consecutive_gateway_errors));
  o.mutable_consecutive_local_origin_failure()->set_value(std::max(1u, outlier.consecutive_local_errors));
  o.mutable_enforcing_consecutive_local_origin_failure()->set_value(enforcing(outlier.consecutive_local_errors));
  o.mutable_enforcing_success_rate()->set_value(0);
  o.mutable_enforcing_local_origin_success_rate()->set_value(0);
  set_duration(*o.mutable_interval(), outlier.interval);
  set_duration(*o.mutable_base_ejection_time(), outlier.base_ejection_time);
  set_duration(*o.mutable_max_ejection_time(), outlier.max_ejection_time);
  o.mutable_max_ejection_percent()->set_value(outlier.max_ejection_percent);
}

void set_breaker(cluster::Cluster& out, const TrafficPolicy& policy) {
  auto& threshold = *out.mutable_circuit_breakers()->add_thresholds();
  threshold.mutable_max_connections()->set_value(policy.breaker.max_connections);
  threshold.mutable_max_pending_requests()->set_value(policy.breaker.max_pending_requests);
  threshold.mutable_max_requests()->set_value(policy.breaker.max_requests);
  auto& budget = *threshold.mutable_retry_budget();
  budget.mutable_budget_percent()->set_value(policy.budget.percent);
  budget.mutable_min_retry_concurrency()->set_value(policy.budget.min_concurrent);
}

void set_keepalive(cluster::Cluster& out, const ConnectionPool& pool) {
  auto& keepalive = *out.mutable_upstream_connection_options()->mutable_tcp_keepalive();
  auto seconds = [](Milliseconds value) {
    return static_cast<uint32_t>(std::max<int64_t>(1, (value.count() + 999) / 1000));
  };
  if (pool.tcp_keepalive_time) keepalive.mutable_keepalive_time()->set_value(seconds(*pool.tcp_keepalive_time));
  if (pool.tcp_keepalive_interval) {
    keepalive.mutable_keepalive_interval()->set_value(seconds(*pool.tcp_keepalive_interval));
  }
  if (pool.tcp_keepalive_probes) keepalive.mutable_keepalive_probes()->set_value(*pool.tcp_keepalive_probes);
}

void set_lb(const Scope& scope, cluster::Cluster& out, const TrafficPolicy& policy) {
  const bool grpc = scope.node.kind == NodeClass::Kind::grpc;
  if (policy.lb == LbPolicy::round_robin || grpc) {
    out.set_lb_policy(cluster::Cluster::ROUND_ROBIN);  // the one policy that every version of gRPC has
  } else if (policy.lb == LbPolicy::random) {
    out.set_lb_policy(cluster::Cluster::RANDOM);
  } else {
    out.set_lb_policy(cluster::Cluster::LEAST_REQUEST);
    out.mutable_least_request_lb_config()->mutable_choice_count()->set_value(policy.lb_choices);
  }
  out.mutable_common_lb_config()->mutable_healthy_panic_threshold()->set_value(policy.locality.panic_threshold_percent);
}

void set_policy(const Scope& scope, cluster::Cluster& out, const TrafficPolicy& policy) {
  set_duration(*out.mutable_connect_timeout(), policy.pool.connect_timeout);
  set_outlier(out, policy.outlier);
  set_breaker(out, policy);
  const ConnectionPool& pool = policy.pool;
  const bool keepalive = pool.tcp_keepalive_time || pool.tcp_keepalive_interval || pool.tcp_keepalive_probes;
  if (keepalive && scope.node.kind == NodeClass::Kind::sidecar) set_keepalive(out, pool);
}

// Endpoints with a sidecar are marked by metadata and get mutual TLS, the others plain text.
void set_transport(const Scope& scope, cluster::Cluster& out, const Peers& peers, const std::string& sni, Wire wire) {
  if (!peers.some) return;
  core::TransportSocket tls = upstream_tls(scope, peers.spiffe_ids, sni, alpn_of(wire));
  if (scope.node.kind == NodeClass::Kind::grpc) {
    if (peers.all) *out.mutable_transport_socket() = std::move(tls);  // gRPC has one socket per cluster
    return;
  }
  auto& mesh = *out.add_transport_socket_matches();
  mesh.set_name("tlsMode-pillion");
  (*mesh.mutable_match()->mutable_fields())[kTlsModeKey].set_string_value(kTlsMode);
  *mesh.mutable_transport_socket() = std::move(tls);
  auto& plain = *out.add_transport_socket_matches();
  plain.set_name("tlsMode-disabled");
  plain.mutable_match();
  *plain.mutable_transport_socket() = raw_buffer_socket();
}

endpoint::ClusterLoadAssignment load_assignment(const Scope& scope, const std::string& name, const Service& service,
                                                const ServicePort& port, const TrafficPolicy& policy) {
  endpoint::ClusterLoadAssignment out;
  out.set_cluster_name(name);
  out.mutable_policy()->mutable_overprovisioning_factor()->set_value(policy.locality.overprovisioning_percent);
  std::map<std::string, std::vector<ServingEndpoint>> zones;
  for (ServingEndpoint& e : scope.model.endpoints_of(service, port)) zones[e.zone].push_back(std::move(e));
  // The node's own zone comes first, if there is anything in it: priorities may have no gaps.
  const bool near = policy.locality.prefer_same_zone && !scope.node.zone.empty() && zones.contains(scope.node.zone);
  for (const auto& [zone, endpoints] : zones) {
    auto& locality = *out.add_endpoints();
    locality.mutable_locality()->set_zone(zone);
    locality.mutable_load_balancing_weight()->set_value(static_cast<uint32_t>(endpoints.size()));
    locality.set_priority(near && zone != scope.node.zone ? 1 : 0);
    for (const ServingEndpoint& e : endpoints) {
      auto& lb = *locality.add_lb_endpoints();
      set_address(*lb.mutable_endpoint()->mutable_address(), e.address, e.port);
      if (!e.sidecar()) continue;
      auto& metadata = (*lb.mutable_metadata()->mutable_filter_metadata())[kTransportSocketMatch];
      (*metadata.mutable_fields())[kTlsModeKey].set_string_value(kTlsMode);
    }
  }
  return out;
}

const TrafficPolicy& policy_or_default(const Scope& scope, const Service& service, const ServicePort& port) {
  static const TrafficPolicy kDefault;
  const TrafficPolicy* policy = scope.model.policy_of(service, port);
  return policy == nullptr ? kDefault : *policy;
}

// A headless service's clients choose the pod themselves, and the connection goes where they said.
void add_direct_cluster(const Scope& scope, const Service& service, const ServicePort& port, const Peers& peers,
                        ResourceSet& out) {
  const TrafficPolicy& policy = policy_or_default(scope, service, port);
  const Wire wire = wire_of(scope, port, peers, policy.pool);
  cluster::Cluster c;
  c.set_name(cluster_name(service, port.port, scope.options, kDirectSubset));
  c.set_type(cluster::Cluster::ORIGINAL_DST);
  c.set_lb_policy(cluster::Cluster::CLUSTER_PROVIDED);
  set_policy(scope, c, policy);
  set_protocol(c, wire, policy.pool, peers.all || wire == Wire::agreed);
  // Only endpoints with a sidecar are sent here, and a host that is made from an address carries no metadata.
  *c.mutable_transport_socket() = upstream_tls(scope, peers.spiffe_ids, mesh_sni(scope, service, port), alpn_of(wire));
  out.add(kClusterType, c.name(), c);
}

}  // namespace

void add_service_cluster(const Scope& scope, const Service& service, const ServicePort& port, ResourceSet& out) {
  const TrafficPolicy& policy = policy_or_default(scope, service, port);
  const Peers peers = peers_of(scope, service, port);
  const Wire wire = wire_of(scope, port, peers, policy.pool);
  cluster::Cluster c;
  c.set_name(cluster_name(service, port.port, scope.options));
  c.set_type(cluster::Cluster::EDS);
  set_ads(*c.mutable_eds_cluster_config()->mutable_eds_config());
  c.mutable_eds_cluster_config()->set_service_name(c.name());
  set_lb(scope, c, policy);
  set_policy(scope, c, policy);
  set_protocol(c, wire, policy.pool, peers.all || wire == Wire::agreed);
  set_transport(scope, c, peers, mesh_sni(scope, service, port), wire);
  out.add(kClusterType, c.name(), c);
  out.add(kEndpointType, c.name(), load_assignment(scope, c.name(), service, port, policy));
  const bool sidecar = scope.node.kind == NodeClass::Kind::sidecar;
  if (service.headless && peers.some && sidecar) add_direct_cluster(scope, service, port, peers, out);
}

namespace {

cluster::Cluster original_dst_cluster(const char* name) {
  cluster::Cluster out;
  out.set_name(name);
  out.set_type(cluster::Cluster::ORIGINAL_DST);
  out.set_lb_policy(cluster::Cluster::CLUSTER_PROVIDED);
  set_duration(*out.mutable_connect_timeout(), Milliseconds(10000));  // strangers may be far away
  auto& threshold = *out.mutable_circuit_breakers()->add_thresholds();
  for (auto* limit : {threshold.mutable_max_connections(), threshold.mutable_max_pending_requests(),
                      threshold.mutable_max_requests(), threshold.mutable_max_retries()}) {
    limit->set_value(UINT32_MAX);  // without the mesh nothing would count them either
  }
  return out;
}

void bind_inbound(cluster::Cluster& out, bool v6) {
  auto& source = *out.mutable_upstream_bind_config()->mutable_source_address();
  source.set_address(v6 ? kInboundBindV6 : kInboundBindV4);
  source.set_port_value(0);
}

// Of a pod with addresses of both families: which one a connection needs follows from where it goes.
void bind_inbound_other(cluster::Cluster& out, bool v6) {
  auto& source = *out.mutable_upstream_bind_config()->add_extra_source_addresses()->mutable_address();
  source.set_address(v6 ? kInboundBindV4 : kInboundBindV6);
  source.set_port_value(0);
}

}  // namespace

void add_common_clusters(const Scope& scope, ResourceSet& out) {
  cluster::Cluster black_hole;
  black_hole.set_name(kBlackHoleCluster);
  black_hole.set_type(cluster::Cluster::STATIC);
  set_duration(*black_hole.mutable_connect_timeout(), Milliseconds(10000));
  out.add(kClusterType, kBlackHoleCluster, black_hole);
  // Kept where egress is denied too: headless endpoints without a sidecar are known, and are reached through it.
  out.add(kClusterType, kPassthroughCluster, original_dst_cluster(kPassthroughCluster));
  cluster::Cluster inbound = original_dst_cluster(kInboundPassthroughCluster);
  const bool v6 = !scope.node.ips.empty() && scope.node.ips.front().contains(':');
  bind_inbound(inbound, v6);
  const bool both = std::ranges::any_of(scope.node.ips, [v6](const std::string& ip) { return ip.contains(':') != v6; });
  if (both) bind_inbound_other(inbound, v6);
  out.add(kClusterType, kInboundPassthroughCluster, inbound);
}

void add_inbound_cluster(const Scope& scope, uint16_t port, Protocol protocol, ResourceSet& out) {
  const std::string& ip = scope.node.ips.front();
  cluster::Cluster c = original_dst_cluster("");
  c.set_name("inbound|" + std::to_string(port) + "||");
  c.set_type(cluster::Cluster::STATIC);
  c.set_lb_policy(cluster::Cluster::ROUND_ROBIN);
  auto& assignment = *c.mutable_load_assignment();
  assignment.set_cluster_name(c.name());
  set_address(*assignment.add_endpoints()->add_lb_endpoints()->mutable_endpoint()->mutable_address(), ip, port);
  bind_inbound(c, ip.contains(':'));
  const Wire wire = protocol == Protocol::http1    ? Wire::http1
                    : protocol == Protocol::tcp    ? Wire::tcp
                    : protocol == Protocol::detect ? Wire::as_received
                                                   : Wire::http2;
  set_protocol(c, wire, ConnectionPool(), false);
  out.add(kClusterType, c.name(), c);
}

}  // namespace pillion::xds::control
