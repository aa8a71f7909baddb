// The inbound side: one bound listener whose filter chains are chosen by the port of the pod, TLS and, where a port is
// not declared, the protocol inside.
//
//            strict                                   permissive
//   HTTP     tls -> mTLS, HTTP                        the same; plain text -> HTTP
//   TCP      tls -> mTLS, TCP                         tls with the mesh's SNI -> mTLS, TCP; anything else -> TCP
//   neither  tls, ALPN h2 or http/1.1 -> mTLS, HTTP   the same with the mesh's SNI;
//            tls -> mTLS, TCP                         HTTP in plain text -> HTTP; anything else -> TCP
//
// Without a chain (plain text in strict mode) the connection is closed before a byte reaches the application.
#include <map>

#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

struct InboundPort {
  Protocol protocol = Protocol::detect;
  std::vector<std::string> snis;  // of the services that are served on it
};

// The pod's ports that a service names.
std::map<uint16_t, InboundPort> inbound_ports(const Scope& scope) {
  std::map<uint16_t, InboundPort> out;
  if (scope.node.ips.empty()) return out;
  const std::string& ip = scope.node.ips.front();
  for (const auto& [name, service] : scope.model.services) {
    for (const ServicePort& port : service.ports) {
      if (port.udp) continue;
      for (const ServingEndpoint& e : scope.model.all_endpoints_of(service, port)) {
        if (e.address != ip) continue;
        InboundPort& entry = out[e.port];
        entry.protocol = port.protocol;  // equal in all of them: model_check refuses anything else
        entry.snis.push_back(mesh_sni(scope, service, port));
      }
    }
  }
  return out;
}

class InboundBuilder {
 public:
  InboundBuilder(const Scope& scope, listener::Listener& out) : scope_(scope), out_(out) {}

  void add_port(uint16_t number, const InboundPort& port) {
    number_ = number;
    port_ = &port;
    cluster_ = "inbound|" + std::to_string(number) + "||";
    const bool strict = scope_.settings.mtls == MtlsMode::strict;
    if (is_http(port.protocol)) {
      *chain("mtls", "tls").add_filters() = http(true);
      add_mtls({"h2", "http/1.1"});
      if (!strict) *chain("plain", "raw_buffer").add_filters() = http(false);
      return;
    }
    if (port.protocol == Protocol::detect) {
      *chain("mtls-http", "tls", {"h2", "http/1.1"}, !strict).add_filters() = http(true);
      add_mtls({"h2", "http/1.1"});
      if (!strict) *chain("plain-http", "raw_buffer", {"http/1.0", "http/1.1", "h2c"}).add_filters() = http(false);
    }
    *chain("mtls-tcp", "tls", {}, !strict).add_filters() = tcp(cluster_);
    add_mtls({});
    if (!strict) *chain("plain-tcp", "").add_filters() = tcp(cluster_);
  }

  // A port that no service names goes to the application as it came.
  void add_other_ports() {
    number_ = 0;
    cluster_ = kInboundPassthroughCluster;
    const bool strict = scope_.settings.mtls == MtlsMode::strict;
    *chain(strict ? "mtls" : "plain", strict ? "tls" : "").add_filters() = tcp(cluster_);
    if (strict) add_mtls({});
  }

  void add_loop_guard() {
    number_ = kInboundPort;
    cluster_ = kBlackHoleCluster;
    *chain("blackhole", "").add_filters() = tcp(kBlackHoleCluster);
  }

 private:
  listener::FilterChain& chain(const std::string& what, const char* transport, std::vector<std::string> alpn = {},
                               bool by_sni = false) {
    auto& chain = *out_.add_filter_chains();
    chain.set_name("virtualInbound-" + (number_ == 0 ? "other" : std::to_string(number_)) + "-" + what);
    auto& match = *chain.mutable_filter_chain_match();
    if (number_ != 0) match.mutable_destination_port()->set_value(number_);
    match.set_transport_protocol(transport);
    for (std::string& name : alpn) match.add_application_protocols(std::move(name));
    if (by_sni) {
      for (const std::string& sni : port_->snis) match.add_server_names(sni);
    }
    return chain;
  }

  void add_mtls(const std::vector<std::string>& alpn) {
    auto& chain = *out_.mutable_filter_chains(out_.filter_chains_size() - 1);
    *chain.mutable_transport_socket() = downstream_mtls(scope_, alpn);
  }

  listener::Filter http(bool peer_identity) {
    hcm::HttpConnectionManager manager = http_manager(
        scope_, {.stat_prefix = "inbound_" + std::to_string(number_), .inbound = true, .peer_identity = peer_identity});
    *manager.mutable_route_config() = inbound_route_config(cluster_);
    return http_filter(manager);
  }

  listener::Filter tcp(const std::string& cluster) { return tcp_filter(scope_, cluster, cluster); }

  const Scope& scope_;
  listener::Listener& out_;
  uint16_t number_ = 0;
  const InboundPort* port_ = nullptr;
  std::string cluster_;
};

}  // namespace

void add_inbound(const Scope& scope, ResourceSet& out) {
  listener::Listener l;
  l.set_name("virtualInbound");
  set_address(*l.mutable_address(), "0.0.0.0", kInboundPort);
  const std::map<uint16_t, InboundPort> ports = inbound_ports(scope);
  bool v6 = false;
  bool detects = false;
  for (const std::string& ip : scope.node.ips) v6 = v6 || ip.contains(':');
  for (const auto& [number, port] : ports) detects = detects || port.protocol == Protocol::detect;
  if (v6) set_address(*l.add_additional_addresses()->mutable_address(), "::", kInboundPort);
  l.set_traffic_direction(core::INBOUND);
  *l.add_listener_filters() = listener_filter("original_dst");
  *l.add_listener_filters() = listener_filter("tls_inspector");
  const bool permissive = scope.settings.mtls == MtlsMode::permissive;
  if (permissive && detects) *l.add_listener_filters() = listener_filter("http_inspector");
  // In plain text the server may have to speak first. In strict mode the peer always does.
  l.set_continue_on_listener_filters_timeout(permissive);
  InboundBuilder builder(scope, l);
  builder.add_loop_guard();
  for (const auto& [number, port] : ports) {
    builder.add_port(number, port);
    add_inbound_cluster(scope, number, port.protocol, out);
  }
  builder.add_other_ports();
  out.add(kListenerType, l.name(), l);
}

}  // namespace pillion::xds::control
