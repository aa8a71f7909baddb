// Service, EndpointSlice, Pod and Namespace: what exists, in which zone, with which identity.
#include <algorithm>
#include <array>

#include "xds/control/yaml_kinds.h"

namespace pillion::xds::control {

namespace {

constexpr uint32_t kMaxPort = 65535;
constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";
constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
constexpr const char* kSidecarAnnotation = "pillion.dev/sidecar";
constexpr const char* kSidecarContainer = "pillion-proxy";

struct ProtocolName {
  std::string_view name;
  Protocol protocol;
};

constexpr std::array kProtocolNames = {
    ProtocolName{"http", Protocol::http1},
    ProtocolName{"http1", Protocol::http1},
    ProtocolName{"kubernetes.io/ws", Protocol::http1},
    ProtocolName{"http2", Protocol::http2},
    ProtocolName{"h2c", Protocol::http2},
    ProtocolName{"kubernetes.io/h2c", Protocol::http2},
    ProtocolName{"grpc", Protocol::grpc},
    ProtocolName{"tcp", Protocol::tcp},
    ProtocolName{"tls", Protocol::tcp},
    ProtocolName{"https", Protocol::tcp},
    ProtocolName{"kubernetes.io/wss", Protocol::tcp},
    ProtocolName{"mysql", Protocol::tcp},
    ProtocolName{"redis", Protocol::tcp},
    ProtocolName{"mongo", Protocol::tcp},
    ProtocolName{"postgres", Protocol::tcp},
};

// An appProtocol or a port's name that is not in the table says nothing: the first bytes decide.
Protocol protocol_named(std::string_view name) {
  auto it = std::ranges::find(kProtocolNames, name, &ProtocolName::name);
  return it == kProtocolNames.end() ? Protocol::detect : it->protocol;
}

Protocol protocol_of(const std::string& app_protocol, const std::string& port_name) {
  if (!app_protocol.empty()) return protocol_named(app_protocol);
  return protocol_named(std::string_view(port_name).substr(0, port_name.find('-')));
}

bool read_transport(const YamlMap& map) {
  auto value = map.get("protocol");
  if (!value) return false;
  return value->one_of<int>({{"TCP", 0}, {"UDP", 1}, {"SCTP", 2}}).value_or(0) != 0;
}

ServicePort read_service_port(const YamlValue& value) {
  ServicePort out;
  out.at = value.place();
  const YamlMap map(value, {"name", "port", "targetPort", "protocol", "appProtocol"}, {"nodePort"});
  out.name = map.text("name");
  out.udp = read_transport(map);
  if (auto port = map.require("port")) {
    out.at = port->place();
    out.port = static_cast<uint16_t>(port->number(1, kMaxPort).value_or(0));
  }
  out.target_port = out.port;
  if (auto target = map.get("targetPort")) {
    const std::string text = target->text();
    const bool numeric = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (numeric) {
      out.target_port = static_cast<uint16_t>(target->number(1, kMaxPort).value_or(0));
    } else {
      out.target_port = 0;
      out.target_port_name = text;
    }
  }
  out.protocol = protocol_of(map.text("appProtocol"), out.name);
  return out;
}

}  // namespace

Service read_service(Meta meta, const YamlMap& top) {
  Service out;
  out.meta = std::move(meta);
  const auto spec_value = top.require("spec");
  if (!spec_value) return out;
  const YamlMap spec(
      *spec_value, {"clusterIP", "clusterIPs", "ports", "selector", "type"},
      {"ipFamilies", "ipFamilyPolicy", "sessionAffinity", "sessionAffinityConfig", "internalTrafficPolicy",
       "externalTrafficPolicy", "publishNotReadyAddresses", "healthCheckNodePort", "externalIPs", "loadBalancerIP",
       "loadBalancerClass", "loadBalancerSourceRanges", "allocateLoadBalancerNodePorts", "trafficDistribution"});
  if (auto type = spec.get("type")) {
    const auto known = type->one_of<int>({{"ClusterIP", 0}, {"NodePort", 0}, {"LoadBalancer", 0}, {"ExternalName", 1}});
    if (known == 1) type->fail("an ExternalName is an alias in DNS and has no endpoints; refer to the service itself");
  }
  auto add_ip = [&out](const YamlValue& value) {
    if (value.text() == "None") {
      out.headless = true;
    } else if (std::string ip = value.ip();
               !ip.empty() && std::ranges::find(out.cluster_ips, ip) == out.cluster_ips.end()) {
      out.cluster_ips.push_back(std::move(ip));
    }
  };
  if (auto ip = spec.get("clusterIP"); ip && !ip->text().empty()) add_ip(*ip);
  if (auto ips = spec.get("clusterIPs")) {
    for (const YamlValue& ip : ips->items()) add_ip(ip);
  }
  if (auto selector = spec.get("selector")) out.selector = selector->string_map();
  if (auto ports = spec.require("ports")) {
    for (const YamlValue& port : ports->items()) out.ports.push_back(read_service_port(port));
  }
  return out;
}

namespace {

Endpoint read_endpoint(const YamlValue& value, const std::string& ns) {
  Endpoint out;
  out.at = value.place();
  const YamlMap map(value, {"addresses", "conditions", "zone", "nodeName", "targetRef"},
                    {"hostname", "hints", "deprecatedTopology"});
  if (auto addresses = map.require("addresses")) {
    for (const YamlValue& address : addresses->items()) out.addresses.push_back(address.ip());
    if (out.addresses.empty()) addresses->fail("an endpoint has at least one address");
  }
  out.zone = map.text("zone");
  out.node_name = map.text("nodeName");
  if (auto conditions = map.get("conditions")) {
    const YamlMap fields(*conditions, {"ready"}, {"serving", "terminating"});
    if (auto ready = fields.get("ready")) out.ready = ready->boolean().value_or(true);
  }
  if (auto target = map.get("targetRef")) {
    const YamlMap fields(*target, {"kind", "name", "namespace"}, {"uid", "apiVersion", "resourceVersion", "fieldPath"});
    const auto name = fields.require("name");
    if (name && fields.text("kind") == "Pod") {
      const std::string target_ns = fields.text("namespace");
      out.pod = Name{target_ns.empty() ? ns : target_ns, name->dns_name()};
      out.at = name->place();
    }
  }
  return out;
}

}  // namespace

EndpointSlice read_endpoint_slice(Meta meta, const YamlMap& top) {
  EndpointSlice out;
  out.meta = std::move(meta);
  auto label = out.meta.labels.find(kServiceNameLabel);
  if (label == out.meta.labels.end()) {
    top.fail(std::string("the label ") + kServiceNameLabel + " is missing: it names the service of the endpoints");
  } else {
    out.service = {out.meta.name.ns, label->second};
  }
  if (auto type = top.require("addressType")) {
    if (type->one_of<int>({{"IPv4", 0}, {"IPv6", 0}, {"FQDN", 1}}) == 1) {
      type->fail("endpoints by host name are not carried; give IPv4 or IPv6 addresses");
    }
  }
  if (auto ports = top.get("ports")) {
    for (const YamlValue& value : ports->items()) {
      const YamlMap map(value, {"name", "port", "protocol", "appProtocol"});
      SlicePort port{map.text("name"), 0, value.place()};
      if (auto number = map.require("port")) {
        port.port = static_cast<uint16_t>(number->number(1, kMaxPort).value_or(0));
        port.at = number->place();
      }
      if (!read_transport(map)) out.ports.push_back(std::move(port));
    }
  }
  if (auto endpoints = top.get("endpoints")) {
    for (const YamlValue& value : endpoints->items()) out.endpoints.push_back(read_endpoint(value, out.meta.name.ns));
  }
  return out;
}

namespace {

// The rest of a container is the kubelet's business, so its fields are not judged here.
void read_containers(const YamlValue& list, Pod& out) {
  for (const YamlValue& container : list.items()) {
    for (const auto& [key, value] : container.entries()) {
      if (key == "name" && value.text() == kSidecarContainer) out.sidecar = true;
      if (key != "ports") continue;
      for (const YamlValue& port_value : value.items()) {
        const YamlMap port(port_value, {"name", "containerPort", "protocol"}, {"hostPort", "hostIP"});
        const auto number = port.require("containerPort");
        const std::string name = port.text("name");
        if (!number || name.empty()) continue;
        out.container_ports[name] = static_cast<uint16_t>(number->number(1, kMaxPort).value_or(0));
      }
    }
  }
}

void read_pod_spec(const YamlValue& value, Pod& out) {
  const YamlMap spec(value, {"serviceAccountName", "nodeName", "containers", "initContainers"},
                     {"activeDeadlineSeconds",
                      "affinity",
                      "automountServiceAccountToken",
                      "dnsConfig",
                      "dnsPolicy",
                      "enableServiceLinks",
                      "ephemeralContainers",
                      "hostAliases",
                      "hostIPC",
                      "hostNetwork",
                      "hostPID",
                      "hostUsers",
                      "hostname",
                      "imagePullSecrets",
                      "nodeSelector",
                      "os",
                      "overhead",
                      "preemptionPolicy",
                      "priority",
                      "priorityClassName",
                      "readinessGates",
                      "resourceClaims",
                      "resources",
                      "restartPolicy",
                      "runtimeClassName",
                      "schedulerName",
                      "schedulingGates",
                      "securityContext",
                      "serviceAccount",
                      "setHostnameAsFQDN",
                      "shareProcessNamespace",
                      "subdomain",
                      "terminationGracePeriodSeconds",
                      "tolerations",
                      "topologySpreadConstraints",
                      "volumes"});
  if (auto account = spec.get("serviceAccountName")) out.service_account = account->dns_name();
  out.node_name = spec.text("nodeName");
  for (const char* key : {"containers", "initContainers"}) {
    if (auto list = spec.get(key)) read_containers(*list, out);
  }
}

void read_pod_status(const YamlValue& value, Pod& out) {
  const YamlMap status(value, {"podIP", "podIPs", "conditions"},
                       {"phase", "hostIP", "hostIPs", "startTime", "containerStatuses", "initContainerStatuses",
                        "ephemeralContainerStatuses", "qosClass", "message", "reason", "nominatedNodeName", "resize",
                        "resourceClaimStatuses", "observedGeneration"});
  auto add_ip = [&out](std::string ip) {
    if (!ip.empty() && std::ranges::find(out.ips, ip) == out.ips.end()) out.ips.push_back(std::move(ip));
  };
  if (auto ip = status.get("podIP")) add_ip(ip->ip());
  if (auto ips = status.get("podIPs")) {
    for (const YamlValue& item : ips->items()) {
      const YamlMap map(item, {"ip"});
      if (auto ip = map.require("ip")) add_ip(ip->ip());
    }
  }
  if (auto conditions = status.get("conditions")) {
    for (const YamlValue& item : conditions->items()) {
      const YamlMap map(item, {"type", "status"},
                        {"reason", "message", "lastProbeTime", "lastTransitionTime", "observedGeneration"});
      if (map.text("type") == "Ready") out.ready = map.text("status") == "True";
    }
  }
}

}  // namespace

Pod read_pod(Meta meta, const YamlMap& top) {
  Pod out;
  out.meta = std::move(meta);
  if (auto spec = top.get("spec")) read_pod_spec(*spec, out);
  if (auto status = top.get("status")) read_pod_status(*status, out);
  if (auto zone = out.meta.labels.find(kZoneLabel); zone != out.meta.labels.end()) out.zone = zone->second;
  if (auto mark = out.meta.annotations.find(kSidecarAnnotation); mark != out.meta.annotations.end()) {
    out.sidecar = mark->second == "true";
  }
  return out;
}

Namespace read_namespace(Meta meta, const YamlMap&) {
  return Namespace{std::move(meta)};
}

}  // namespace pillion::xds::control
