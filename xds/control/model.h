// What the mesh is meant to be: the Kubernetes-shaped documents of docs/policy.md as plain typed values, each with the
// place it was written at, so that every later error can name file, line and field. A Model is built by yaml_source
// (or, later, by other sources), linked and checked by model_check, and never changed afterwards.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "xds/control/model_core.h"
#include "xds/control/model_policies.h"
#include "xds/control/model_routes.h"

namespace pillion::xds::control {

// One address that serves one port of a service.
struct ServingEndpoint {
  std::string address;
  uint16_t port = 0;
  std::string zone;
  const Pod* pod = nullptr;  // null where no Pod document has the address
  bool ready = true;
  bool sidecar() const { return pod != nullptr && pod->sidecar; }
};

struct Model {
  std::map<Name, Service> services;
  std::map<Name, EndpointSlice> slices;
  std::map<Name, Pod> pods;
  std::map<Name, Namespace> namespaces;
  std::map<Name, Route> http_routes;
  std::map<Name, Route> grpc_routes;
  std::map<Name, TrafficPolicy> traffic_policies;
  std::map<Name, MeshPolicy> mesh_policies;

  // Made by link(). They point into the maps above, so a Model is not copied once it is linked.
  std::map<Name, std::vector<const EndpointSlice*>> slices_by_service;
  std::map<std::string, const Pod*> pods_by_ip;
  std::map<Name, std::vector<const Route*>> routes_by_service;  // HTTPRoutes first, each kind in the order of names
  std::map<Name, std::vector<const TrafficPolicy*>> policies_by_service;

  Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  void link();

  // The endpoints that are ready, in the order of their addresses. A service with a selector and no EndpointSlice has
  // the ready Pods that the selector matches: what Kubernetes would have written into the slice.
  std::vector<ServingEndpoint> endpoints_of(const Service& service, const ServicePort& port) const;
  // Same, with those that are not ready: what a pod of the service must accept on its inbound side.
  std::vector<ServingEndpoint> all_endpoints_of(const Service& service, const ServicePort& port) const;

  const TrafficPolicy* policy_of(const Service& service, const ServicePort& port) const;  // null: defaults
  MeshSettings settings_of(const std::string& ns) const;

 private:
  void append_slice(const EndpointSlice& slice, const ServicePort& port, std::vector<ServingEndpoint>& out) const;
};

}  // namespace pillion::xds::control
