// The outbound side: the capture listener and one unbound listener per address and port of a service.
#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

constexpr const char* kAnyV4 = "0.0.0.0";
constexpr const char* kAnyV6 = "::";

bool has_v6(const NodeClass& node) {
  for (const std::string& ip : node.ips) {
    if (ip.contains(':')) return true;
  }
  return false;
}

void add_virtual_outbound(const Scope& scope, ResourceSet& out) {
  listener::Listener l;
  l.set_name("virtualOutbound");
  set_address(*l.mutable_address(), kAnyV4, kOutboundPort);
  if (has_v6(scope.node)) set_address(*l.add_additional_addresses()->mutable_address(), kAnyV6, kOutboundPort);
  l.mutable_use_original_dst()->set_value(true);
  l.set_traffic_direction(core::OUTBOUND);
  // A connection to the capture port itself would be captured again, for ever.
  auto& loop = *l.add_filter_chains();
  loop.set_name("virtualOutbound-blackhole");
  loop.mutable_filter_chain_match()->mutable_destination_port()->set_value(kOutboundPort);
  *loop.add_filters() = tcp_filter(scope, kBlackHoleCluster, kBlackHoleCluster);
  auto& rest = *l.mutable_default_filter_chain();
  const char* cluster = scope.settings.egress_deny_unknown ? kBlackHoleCluster : kPassthroughCluster;
  rest.set_name("virtualOutbound-catchall");
  *rest.add_filters() = tcp_filter(scope, cluster, cluster);
  out.add(kListenerType, l.name(), l);
}

void set_rds(const Scope& scope, const Service& service, const ServicePort& port, hcm::HttpConnectionManager& out) {
  set_ads(*out.mutable_rds()->mutable_config_source());
  out.mutable_rds()->set_route_config_name(route_config_name(scope, service, port));
}

listener::Filter service_http_filter(const Scope& scope, const Service& service, const ServicePort& port) {
  hcm::HttpConnectionManager manager =
      http_manager(scope, {.stat_prefix = cluster_name(service, port.port, scope.options)});
  set_rds(scope, service, port, manager);
  return http_filter(manager);
}

listener::Listener unbound_listener(const std::string& ip, uint16_t port) {
  listener::Listener l;
  l.set_name(ip + "_" + std::to_string(port));
  set_address(*l.mutable_address(), ip, port);
  l.mutable_bind_to_port()->set_value(false);
  l.set_traffic_direction(core::OUTBOUND);
  return l;
}

// `http` carries what is HTTP, `tcp` the rest; a port whose protocol is not declared has both, and the first bytes
// choose. A server that speaks first has no first bytes of the client: the connection goes on as TCP then.
void set_chains(Protocol protocol, const listener::Filter& http, const listener::Filter& tcp, listener::Listener& l) {
  if (protocol == Protocol::detect) {
    *l.add_listener_filters() = listener_filter("tls_inspector");
    *l.add_listener_filters() = listener_filter("http_inspector");
    l.set_continue_on_listener_filters_timeout(true);
    auto& chain = *l.add_filter_chains();
    chain.set_name("http");
    for (const char* name : {"http/1.0", "http/1.1", "h2c"}) {
      chain.mutable_filter_chain_match()->add_application_protocols(name);
    }
    chain.mutable_filter_chain_match()->set_transport_protocol("raw_buffer");
    *chain.add_filters() = http;
    l.mutable_default_filter_chain()->set_name("tcp");
    *l.mutable_default_filter_chain()->add_filters() = tcp;
    return;
  }
  auto& chain = *l.add_filter_chains();
  chain.set_name(is_http(protocol) ? "http" : "tcp");
  *chain.add_filters() = is_http(protocol) ? http : tcp;
}

void add_headless(const Scope& scope, const Service& service, const ServicePort& port, ResourceSet& out) {
  const std::string direct = cluster_name(service, port.port, scope.options, kDirectSubset);
  for (const ServingEndpoint& e : scope.model.all_endpoints_of(service, port)) {
    listener::Listener l = unbound_listener(e.address, e.port);
    if (!e.sidecar()) {
      set_chains(Protocol::tcp, {}, tcp_filter(scope, kPassthroughCluster, kPassthroughCluster), l);
    } else {
      hcm::HttpConnectionManager manager = http_manager(scope, {.stat_prefix = direct});
      *manager.mutable_route_config() = inbound_route_config(direct);
      *manager.mutable_route_config()
           ->mutable_virtual_hosts(0)
           ->mutable_routes(0)
           ->mutable_route()
           ->mutable_retry_policy() = retry_policy(Retries(), nullptr);
      set_chains(port.protocol, http_filter(manager), tcp_filter(scope, direct, direct), l);
    }
    // A pod may serve several services on one port; the first of them in the order of names speaks for it.
    if (out.find(kListenerType, l.name()) == nullptr) out.add(kListenerType, l.name(), l);
  }
}

}  // namespace

void add_outbound(const Scope& scope, ResourceSet& out) {
  add_virtual_outbound(scope, out);
  for (const auto& [name, service] : scope.model.services) {
    for (const ServicePort& port : service.ports) {
      if (port.udp) continue;
      if (service.headless) {
        add_headless(scope, service, port, out);
        continue;
      }
      if (service.cluster_ips.empty()) continue;  // reached through the routes of others
      const std::string cluster = cluster_name(service, port.port, scope.options);
      for (const std::string& ip : service.cluster_ips) {
        listener::Listener l = unbound_listener(ip, port.port);
        const bool http = port.protocol != Protocol::tcp;
        set_chains(port.protocol, http ? service_http_filter(scope, service, port) : listener::Filter(),
                   tcp_filter(scope, cluster, cluster), l);
        out.add(kListenerType, l.name(), l);
      }
      if (port.protocol == Protocol::tcp) continue;
      out.add(kRouteType, route_config_name(scope, service, port), route_config(scope, service, port));
    }
  }
}

// What gRPC's own xDS client asks for: a listener by the name of its target, with an API listener in it (gRFC A27).
void add_grpc_listeners(const Scope& scope, ResourceSet& out) {
  for (const auto& [name, service] : scope.model.services) {
    for (const ServicePort& port : service.ports) {
      if (port.udp || port.protocol == Protocol::tcp) continue;
      hcm::HttpConnectionManager manager = http_manager(scope, {.stat_prefix = "grpc"});
      set_rds(scope, service, port, manager);
      listener::Listener l;
      l.set_name(route_config_name(scope, service, port));
      *l.mutable_api_listener()->mutable_api_listener() = pack(manager);
      out.add(kListenerType, l.name(), l);
      out.add(kRouteType, l.name(), route_config(scope, service, port));
    }
  }
}

}  // namespace pillion::xds::control
