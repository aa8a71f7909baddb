#include "xds/control/translate.h"

#include <algorithm>
#include <set>

#include "proxy/base/address.h"
#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

// === names ===

std::string host_of(const Service& service, const TranslateOptions& options) {
  return service.meta.name.name + "." + service.meta.name.ns + ".svc." + options.cluster_domain;
}

std::string cluster_name(const Service& service, uint16_t port, const TranslateOptions& options,
                         std::string_view subset) {
  return "outbound|" + std::to_string(port) + "|" + std::string(subset) + "|" + host_of(service, options);
}

std::string spiffe_id(const Name& service_account, const TranslateOptions& options) {
  return "spiffe://" + options.trust_domain + "/ns/" + service_account.ns + "/sa/" + service_account.name;
}

std::string route_config_name(const Scope& scope, const Service& service, const ServicePort& port) {
  return host_of(service, scope.options) + ":" + std::to_string(port.port);
}

std::string mesh_sni(const Scope& scope, const Service& service, const ServicePort& port) {
  return "outbound_." + std::to_string(port.port) + "_._." + host_of(service, scope.options);
}

// Endpoints that are not ready count too: readiness comes and goes, and must not change the cluster itself.
Peers peers_of(const Scope& scope, const Service& service, const ServicePort& port) {
  Peers out;
  std::set<std::string> ids;
  const auto endpoints = scope.model.all_endpoints_of(service, port);
  size_t sidecars = 0;
  for (const ServingEndpoint& e : endpoints) {
    if (!e.sidecar()) continue;
    ++sidecars;
    ids.insert(spiffe_id({e.pod->meta.name.ns, e.pod->service_account}, scope.options));
  }
  out.some = sidecars > 0;
  out.all = out.some && sidecars == endpoints.size();
  out.spiffe_ids.assign(ids.begin(), ids.end());
  return out;
}

// === classes ===

std::string claimed_ip(const core::Node& node) {
  const auto& fields = node.metadata().fields();
  std::string ip;
  if (auto it = fields.find("POD_IP"); it != fields.end()) {
    ip = it->second.string_value();
  } else if (const size_t begin = node.id().find('~'); begin != std::string::npos) {
    const size_t end = node.id().find('~', begin + 1);
    if (end != std::string::npos) ip = node.id().substr(begin + 1, end - begin - 1);
  }
  const auto address = Address::parse_ip(ip, 0);
  return address ? address->ip() : std::string();
}

NodeClass classify(const Model& model, const Name& service_account, std::string_view peer_ip, const core::Node& node) {
  NodeClass out;
  out.service_account = service_account;
  if (node.user_agent_name().starts_with("gRPC")) out.kind = NodeClass::Kind::grpc;
  const auto& fields = node.metadata().fields();
  // Only a path on the node's own disk: the worst a lie can do is that the node does not find its own key.
  if (auto it = fields.find(kTlsFilesKey); it != fields.end()) out.tls_files = it->second.string_value();
  const Pod* found = nullptr;
  const std::string claimed = claimed_ip(node);
  for (std::string_view ip : {std::string_view(claimed), peer_ip}) {
    auto it = model.pods_by_ip.find(std::string(ip));
    if (found != nullptr || ip.empty() || it == model.pods_by_ip.end()) continue;
    const Pod& pod = *it->second;
    if (pod.meta.name.ns == service_account.ns && pod.service_account == service_account.name) found = &pod;
  }
  if (found != nullptr) out.ips = found->ips;
  out.zone = found != nullptr && !found->zone.empty() ? found->zone : node.locality().zone();
  return out;
}

// === the whole ===

std::shared_ptr<ResourceSet> translate(const Model& model, const NodeClass& node, const TranslateOptions& options) {
  const Scope scope{model, node, options, model.settings_of(node.service_account.ns)};
  auto out = std::make_shared<ResourceSet>();
  for (const auto& [name, service] : model.services) {
    for (const ServicePort& port : service.ports) {
      if (!port.udp) add_service_cluster(scope, service, port, *out);
    }
  }
  if (node.kind == NodeClass::Kind::grpc) {
    add_grpc_listeners(scope, *out);
    return out;
  }
  add_common_clusters(scope, *out);
  add_outbound(scope, *out);
  add_inbound(scope, *out);
  return out;
}

}  // namespace pillion::xds::control
