// What exists: Service, EndpointSlice, Pod and Namespace of Kubernetes, and what every document has.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/base/config_error.h"

namespace pillion::xds::control {

using Milliseconds = std::chrono::milliseconds;

// MeshPolicy documents of this namespace speak for the whole mesh.
inline constexpr const char* kRootNamespace = "pillion-system";
inline constexpr const char* kDefaultNamespace = "default";

struct Place {
  std::string file;
  int line = 0;      // 1-based
  std::string path;  // the field: `spec.rules[0].backendRefs[1].weight`

  ConfigError error(std::string reason) const { return {file, line, path, std::move(reason)}; }
  std::string to_string() const { return file + ":" + std::to_string(line); }
};

struct Name {
  std::string ns;
  std::string name;
  auto operator<=>(const Name&) const = default;
  std::string to_string() const { return ns + "/" + name; }
};

struct Meta {
  std::string kind;
  Name name;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  Place at;
};

// === core and discovery.k8s.io ===

// What a port speaks, by its appProtocol or the prefix of its name; `detect` where neither says so.
enum class Protocol : uint8_t { detect, http1, http2, grpc, tcp };
bool is_http(Protocol p);  // http1, http2, grpc
const char* name_of(Protocol p);

struct ServicePort {
  std::string name;              // may be empty if it is the only port
  uint16_t port = 0;             // of the ClusterIP
  uint16_t target_port = 0;      // of the pod; 0 where it is named
  std::string target_port_name;  // a container port's name
  Protocol protocol = Protocol::detect;
  bool udp = false;  // UDP and SCTP are not carried by the mesh
  Place at;
};

struct Service {
  Meta meta;
  std::vector<std::string> cluster_ips;  // empty: reached through routes only; see headless
  bool headless = false;                 // clusterIP: None
  std::vector<ServicePort> ports;
  std::map<std::string, std::string> selector;

  const ServicePort* port(uint16_t number) const;
  const ServicePort* port_named(const std::string& port_name) const;
};

struct Endpoint {
  std::vector<std::string> addresses;
  bool ready = true;
  std::string zone;
  std::string node_name;
  std::optional<Name> pod;  // targetRef of kind Pod
  Place at;
};

struct SlicePort {
  std::string name;
  uint16_t port = 0;
  Place at;
};

struct EndpointSlice {
  Meta meta;
  Name service;  // label kubernetes.io/service-name, in the slice's namespace
  std::vector<SlicePort> ports;
  std::vector<Endpoint> endpoints;
};

struct Pod {
  Meta meta;
  std::vector<std::string> ips;
  std::string service_account = "default";
  std::string node_name;
  std::string zone;  // label topology.kubernetes.io/zone
  bool ready = true;
  bool sidecar = false;  // it runs pillion: a container or an annotation says so
  std::map<std::string, uint16_t> container_ports;
};

struct Namespace {
  Meta meta;
};

}  // namespace pillion::xds::control
