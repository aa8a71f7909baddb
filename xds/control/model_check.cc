#include "xds/control/model_check.h"

#include <algorithm>
#include <map>

#include "xds/api/nearest.h"

namespace pillion::xds::control {

std::string object_name(std::string_view kind, const Name& name) {
  return std::string(kind) + " " + name.to_string();
}

std::vector<Problem> check_model(const Model& model) {
  std::vector<Problem> out;
  check_services(model, out);
  check_endpoints(model, out);
  check_routes(model, out);
  check_policies(model, out);
  return out;
}

namespace {

Problem clash(const Place& at, std::string reason, const Place& other) {
  return {at.error(std::move(reason) + " (" + other.to_string() + ")"), other.file, ""};
}

void check_ports(const Service& service, std::vector<Problem>& out) {
  std::map<std::string, const ServicePort*> names;
  std::map<std::pair<uint16_t, bool>, const ServicePort*> numbers;
  for (const ServicePort& port : service.ports) {
    if (port.name.empty() && service.ports.size() > 1) {
      out.push_back({port.at.error("a port of a service with several ports needs a name"), "", ""});
    } else if (auto [it, fresh] = names.emplace(port.name, &port); !fresh) {
      out.push_back(clash(port.at, "the name " + port.name + " is already taken by another port", it->second->at));
    }
    if (auto [it, fresh] = numbers.emplace(std::pair(port.port, port.udp), &port); !fresh) {
      out.push_back(clash(port.at, "the port " + std::to_string(port.port) + " is given twice", it->second->at));
    }
  }
}

}  // namespace

void check_services(const Model& model, std::vector<Problem>& out) {
  std::map<std::pair<std::string, uint16_t>, const ServicePort*> taken;
  for (const auto& [name, service] : model.services) {
    check_ports(service, out);
    if (service.headless && !service.cluster_ips.empty()) {
      out.push_back({service.meta.at.error("clusterIP cannot be None and an address"), "", ""});
    }
    for (const std::string& ip : service.cluster_ips) {
      if (model.pods_by_ip.contains(ip)) {
        const Place& other = model.pods_by_ip.at(ip)->meta.at;
        out.push_back(clash(service.meta.at, "the clusterIP " + ip + " is the address of a pod", other));
      }
      for (const ServicePort& port : service.ports) {
        if (port.udp) continue;
        auto [it, fresh] = taken.emplace(std::pair(ip, port.port), &port);
        if (fresh || it->second->at.to_string() == port.at.to_string()) continue;
        out.push_back(clash(port.at, ip + ":" + std::to_string(port.port) + " is already taken by another service",
                            it->second->at));
      }
    }
  }
}

namespace {

void check_slice(const Model& model, const EndpointSlice& slice, std::vector<Problem>& out) {
  auto service = model.services.find(slice.service);
  if (service == model.services.end()) {
    const std::string missing = object_name("Service", slice.service);
    out.push_back({slice.meta.at.error("its " + missing + " does not exist"), "", missing});
    return;
  }
  for (const SlicePort& port : slice.ports) {
    if (service->second.port_named(port.name) != nullptr) continue;
    out.push_back({port.at.error(object_name("Service", slice.service) + " has no port named \"" + port.name + "\""),
                   service->second.meta.at.file, ""});
  }
  for (const Endpoint& endpoint : slice.endpoints) {
    if (!endpoint.pod) continue;
    auto pod = model.pods.find(*endpoint.pod);
    if (pod == model.pods.end()) {
      const std::string missing = object_name("Pod", *endpoint.pod);
      out.push_back({endpoint.at.error(missing + " does not exist"), "", missing});
      continue;
    }
    for (const std::string& address : endpoint.addresses) {
      const auto& ips = pod->second.ips;
      if (ips.empty() || std::find(ips.begin(), ips.end(), address) != ips.end()) continue;
      out.push_back(clash(endpoint.at, "the address " + address + " is none of its pod's", pod->second.meta.at));
    }
  }
}

// One port of a pod cannot speak two protocols, and two services may claim it.
void check_inbound_protocols(const Model& model, std::vector<Problem>& out) {
  struct Claim {
    const ServicePort* port;
    Name service;
  };
  std::map<std::pair<std::string, uint16_t>, Claim> claims;
  for (const auto& [name, service] : model.services) {
    for (const ServicePort& port : service.ports) {
      if (port.udp) continue;
      for (const ServingEndpoint& endpoint : model.all_endpoints_of(service, port)) {
        auto [it, fresh] = claims.emplace(std::pair(endpoint.address, endpoint.port), Claim{&port, name});
        if (fresh || it->second.port->protocol == port.protocol) continue;
        out.push_back(clash(port.at,
                            "port " + std::to_string(endpoint.port) + " of " + endpoint.address + " is " +
                                name_of(port.protocol) + " here and " + name_of(it->second.port->protocol) + " in " +
                                object_name("Service", it->second.service),
                            it->second.port->at));
        break;
      }
    }
  }
}

}  // namespace

void check_endpoints(const Model& model, std::vector<Problem>& out) {
  for (const auto& [name, pod] : model.pods) {
    for (const std::string& ip : pod.ips) {
      const Pod* other = model.pods_by_ip.at(ip);
      if (other == &pod || (!pod.sidecar && !other->sidecar)) continue;
      out.push_back(clash(pod.meta.at, "the address " + ip + " is already taken by another pod", other->meta.at));
    }
  }
  for (const auto& [name, slice] : model.slices) check_slice(model, slice, out);
  check_inbound_protocols(model, out);
}

namespace {

void check_target(const Model& model, const TrafficPolicy& policy, const TargetRef& target, std::vector<Problem>& out) {
  const Name name{policy.meta.name.ns, target.service};
  auto service = model.services.find(name);
  if (service == model.services.end()) {
    std::vector<std::string_view> names;
    for (const auto& [other, unused] : model.services) {
      if (other.ns == name.ns) names.push_back(other.name);
    }
    const auto near = nearest(target.service, names);
    const std::string missing = object_name("Service", name);
    out.push_back({target.at.error(missing + " does not exist" +
                                   (near ? "; did you mean " + std::string(*near) + "?" : std::string())),
                   "", missing});
  } else if (!target.section_name.empty() && service->second.port_named(target.section_name) == nullptr) {
    out.push_back({target.at.error(object_name("Service", name) + " has no port named " + target.section_name),
                   service->second.meta.at.file, ""});
  }
}

}  // namespace

void check_policies(const Model& model, std::vector<Problem>& out) {
  std::map<std::pair<Name, std::string>, const TargetRef*> targets;
  for (const auto& [name, policy] : model.traffic_policies) {
    for (const TargetRef& target : policy.targets) {
      check_target(model, policy, target, out);
      auto [it, fresh] = targets.emplace(std::pair(Name{name.ns, target.service}, target.section_name), &target);
      if (!fresh) out.push_back(clash(target.at, "another TrafficPolicy speaks for this already", it->second->at));
    }
  }
  std::map<std::string, const MeshPolicy*> scopes;
  for (const auto& [name, policy] : model.mesh_policies) {
    auto [it, fresh] = scopes.emplace(name.ns, &policy);
    if (fresh) continue;
    const std::string scope = name.ns == kRootNamespace ? "the mesh" : "the namespace " + name.ns;
    out.push_back(clash(policy.meta.at, "another MeshPolicy speaks for " + scope + " already", it->second->meta.at));
  }
}

}  // namespace pillion::xds::control
