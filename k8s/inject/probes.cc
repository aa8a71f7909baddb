#include "k8s/inject/probes.h"

#include <array>
#include <cstdlib>

#include "proxy/base/error.h"

namespace pillion::k8s {
namespace {

struct ProbeKind {
  const char* field;
  const char* path;
};
constexpr std::array kProbes = {ProbeKind{"livenessProbe", "livez"}, ProbeKind{"readinessProbe", "readyz"},
                                ProbeKind{"startupProbe", "startupz"}};
constexpr std::array kHandlers = {"httpGet", "tcpSocket", "grpc"};

// The number behind a port that may be the name of one of the container's own.
Result<Node> port_number(const Pod& pod, const AppContainer& container, const Node& port, const std::string& path) {
  if (port.is_integer()) {
    const long long number = std::strtoll(port.scalar.c_str(), nullptr, 10);
    if (number >= 1 && number <= 65535) return number_node(number);
    return pod.fail(port, path, port.scalar + " is not a port: give 1 to 65535");
  }
  const Node* ports = container.node->find("ports");
  if (ports != nullptr) {
    for (const Node& declared : ports->items) {
      const Node* name = declared.find("name");
      const Node* number = declared.find("containerPort");
      if (name != nullptr && number != nullptr && name->scalar == port.scalar) return *number;
    }
  }
  return pod.fail(port, path, "\"" + port.scalar + "\" is not the name of a port of container " + container.name);
}

// Nothing when the probe stays as it is.
Result<Node> rewrite_probe(const Pod& pod, const AppContainer& container, const ProbeKind& kind, Node& probe,
                           const std::string& new_path, uint16_t probe_port) {
  for (const char* handler : kHandlers) {
    Node* target = probe.find(handler);
    if (target == nullptr || !target->is_map() || target->find("host") != nullptr) continue;
    const std::string path = container.path + "." + kind.field + "." + handler + ".port";
    const Node* port = target->find("port");
    if (port == nullptr || !port->is_scalar()) return pod.fail(*target, path, "is missing");
    auto number = port_number(pod, container, *port, path);
    if (!number) return number;
    Node original = *target;
    original.set("port", std::move(*number));
    Node saved = map_node({{handler, std::move(original)}});
    if (const Node* timeout = probe.find("timeoutSeconds")) saved.set("timeoutSeconds", *timeout);
    Node replacement = map_node({{"path", text_node(new_path)}, {"port", number_node(probe_port)}});
    // In place of the old handler, so that the order of the fields stays.
    for (Entry& entry : probe.entries) {
      if (entry.key.scalar == handler) entry = {text_node("httpGet"), std::move(replacement)};
    }
    return saved;
  }
  return Node{};
}

}  // namespace

Result<std::string> rewrite_probes(const Pod& pod, const InjectConfig& config) {
  const auto containers = app_containers(pod);
  if (!containers) return std::unexpected(containers.error());
  Node originals = map_node({});
  for (const AppContainer& container : *containers) {
    for (const ProbeKind& kind : kProbes) {
      Node* probe = container.node->find(kind.field);
      if (probe == nullptr || !probe->is_map()) continue;
      const std::string path = "/app-health/" + container.name + "/" + kind.path;
      auto saved = rewrite_probe(pod, container, kind, *probe, path, config.probe_port);
      if (!saved) return std::unexpected(std::move(saved.error()));
      if (!saved->is_null()) originals.set(path, std::move(*saved));
    }
  }
  return originals.entries.empty() ? "" : to_json(originals);
}

}  // namespace pillion::k8s
