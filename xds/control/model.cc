#include "xds/control/model.h"

#include <algorithm>
#include <set>
#include <tuple>

namespace pillion::xds::control {

bool is_http(Protocol p) {
  return p == Protocol::http1 || p == Protocol::http2 || p == Protocol::grpc;
}

const char* name_of(Protocol p) {
  switch (p) {
    case Protocol::detect: return "undeclared";
    case Protocol::http1: return "http";
    case Protocol::http2: return "http2";
    case Protocol::grpc: return "grpc";
    case Protocol::tcp: return "tcp";
  }
  return "";
}

const ServicePort* Service::port(uint16_t number) const {
  for (const ServicePort& p : ports) {
    if (p.port == number && !p.udp) return &p;
  }
  return nullptr;
}

const ServicePort* Service::port_named(const std::string& port_name) const {
  for (const ServicePort& p : ports) {
    if (p.name == port_name) return &p;
  }
  return nullptr;
}

void Model::link() {
  slices_by_service.clear();
  pods_by_ip.clear();
  routes_by_service.clear();
  policies_by_service.clear();
  for (const auto& [name, slice] : slices) slices_by_service[slice.service].push_back(&slice);
  for (const auto& [name, pod] : pods) {
    for (const std::string& ip : pod.ips) pods_by_ip.emplace(ip, &pod);
  }
  for (const auto& [name, policy] : traffic_policies) {
    std::set<std::string> seen;
    for (const TargetRef& target : policy.targets) {
      if (seen.insert(target.service).second) policies_by_service[{name.ns, target.service}].push_back(&policy);
    }
  }
  for (const auto* routes : {&http_routes, &grpc_routes}) {
    for (const auto& [name, route] : *routes) {
      std::set<Name> seen;
      for (const ParentRef& parent : route.parents) {
        if (seen.insert(parent.service).second) routes_by_service[parent.service].push_back(&route);
      }
    }
  }
}

namespace {

bool selects(const Service& service, const Pod& pod) {
  if (service.selector.empty() || pod.meta.name.ns != service.meta.name.ns) return false;
  return std::ranges::all_of(service.selector, [&](const auto& want) {
    auto it = pod.meta.labels.find(want.first);
    return it != pod.meta.labels.end() && it->second == want.second;
  });
}

uint16_t target_port_on(const ServicePort& port, const Pod& pod) {
  if (port.target_port_name.empty()) return port.target_port;
  auto it = pod.container_ports.find(port.target_port_name);
  return it == pod.container_ports.end() ? 0 : it->second;
}

}  // namespace

std::vector<ServingEndpoint> Model::all_endpoints_of(const Service& service, const ServicePort& port) const {
  std::vector<ServingEndpoint> out;
  auto slices = slices_by_service.find(service.meta.name);
  if (slices == slices_by_service.end()) {
    for (const auto& [name, pod] : pods) {
      const uint16_t target = target_port_on(port, pod);
      if (target == 0 || pod.ips.empty() || !selects(service, pod)) continue;
      out.push_back({pod.ips.front(), target, pod.zone, &pod, pod.ready});
    }
  } else {
    for (const EndpointSlice* slice : slices->second) append_slice(*slice, port, out);
  }
  std::ranges::sort(out, {}, [](const ServingEndpoint& e) { return std::tie(e.address, e.port); });
  return out;
}

void Model::append_slice(const EndpointSlice& slice, const ServicePort& port, std::vector<ServingEndpoint>& out) const {
  for (const SlicePort& slice_port : slice.ports) {
    if (slice_port.name != port.name) continue;
    for (const Endpoint& endpoint : slice.endpoints) {
      if (endpoint.addresses.empty()) continue;
      const Pod* pod = nullptr;
      if (endpoint.pod) {
        auto it = pods.find(*endpoint.pod);
        pod = it == pods.end() ? nullptr : &it->second;
      } else if (auto it = pods_by_ip.find(endpoint.addresses.front()); it != pods_by_ip.end()) {
        pod = it->second;
      }
      std::string zone = endpoint.zone.empty() && pod != nullptr ? pod->zone : endpoint.zone;
      out.push_back({endpoint.addresses.front(), slice_port.port, std::move(zone), pod, endpoint.ready});
    }
  }
}

std::vector<ServingEndpoint> Model::endpoints_of(const Service& service, const ServicePort& port) const {
  std::vector<ServingEndpoint> out = all_endpoints_of(service, port);
  std::erase_if(out, [](const ServingEndpoint& e) { return !e.ready; });
  return out;
}

const TrafficPolicy* Model::policy_of(const Service& service, const ServicePort& port) const {
  auto it = policies_by_service.find(service.meta.name);
  if (it == policies_by_service.end()) return nullptr;
  const TrafficPolicy* whole = nullptr;
  for (const TrafficPolicy* policy : it->second) {
    for (const TargetRef& target : policy->targets) {
      if (target.service != service.meta.name.name) continue;
      if (target.section_name.empty())
        whole = policy;
      else if (target.section_name == port.name)
        return policy;
    }
  }
  return whole;
}

MeshSettings Model::settings_of(const std::string& ns) const {
  MeshSettings out;
  auto apply = [&out](const MeshPolicy& policy) {
    if (policy.mtls) out.mtls = *policy.mtls;
    if (policy.egress_deny_unknown) out.egress_deny_unknown = *policy.egress_deny_unknown;
    if (policy.access_log) out.access_log = *policy.access_log;
  };
  for (const auto& [name, policy] : mesh_policies) {
    if (name.ns == kRootNamespace) apply(policy);
  }
  for (const auto& [name, policy] : mesh_policies) {
    if (name.ns == ns && ns != kRootNamespace) apply(policy);
  }
  return out;
}

}  // namespace pillion::xds::control
