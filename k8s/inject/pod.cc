#include "k8s/inject/pod.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "proxy/base/error.h"

namespace pillion::k8s {
namespace {

Result<const Node*> list_field(const Pod& pod, std::string_view key) {
  const Node* list = pod.spec()->find(key);
  if (list == nullptr || list->is_null()) return nullptr;
  if (!list->is_sequence()) return pod.fail(*list, "spec." + std::string(key), "is not a list");
  return list;
}

Result<void> add_containers(const Pod& pod, std::string_view key, bool sidecars_only, std::vector<AppContainer>& out) {
  const auto list = list_field(pod, key);
  if (!list) return std::unexpected(list.error());
  if (*list == nullptr) return {};
  for (size_t i = 0; i < (*list)->items.size(); ++i) {
    // The list is const only because nothing changes the list itself.
    Node& container = const_cast<Node&>((*list)->items[i]);
    const std::string path = "spec." + std::string(key) + "[" + std::to_string(i) + "]";
    if (!container.is_map()) return pod.fail(container, path, "is not a container");
    const Node* name = container.find("name");
    if (name == nullptr || !name->is_scalar()) return pod.fail(container, path + ".name", "is missing");
    if (name->scalar == kInitContainer || name->scalar == kProxyContainer) {
      return pod.fail(*name, path + ".name", "\"" + name->scalar + "\" is the name of a container that Pillion adds");
    }
    const Node* restart = container.find("restartPolicy");
    if (sidecars_only && (restart == nullptr || restart->scalar != "Always")) continue;
    out.push_back({&container, path, name->scalar});
  }
  return {};
}

// With the proxy's ids an application would count as the proxy, and its traffic would leave the pod in plain text.
Result<void> check_ids(const Pod& pod, const Node& holder, const std::string& path, const InjectConfig& config) {
  const Node* context = holder.find("securityContext");
  if (context == nullptr || !context->is_map()) return {};
  for (const auto& [key, id] : {std::pair{"runAsUser", config.proxy_uid}, std::pair{"runAsGroup", config.proxy_gid}}) {
    const Node* value = context->find(key);
    if (value == nullptr || value->scalar != std::to_string(id)) continue;
    return pod.fail(*value, path + "securityContext." + key,
                    value->scalar + " is the sidecar's own id: with it the application would bypass the mesh");
  }
  return {};
}

Result<void> check_ports(const Pod& pod, const AppContainer& container, const InjectConfig& config) {
  const Node* ports = container.node->find("ports");
  if (ports == nullptr || !ports->is_sequence()) return {};
  const std::array own = {config.inbound_port, config.outbound_port, config.admin_port,
                          config.probe_port,   config.ready_port,    config.metrics_port};
  for (size_t i = 0; i < ports->items.size(); ++i) {
    const Node* port = ports->items[i].find("containerPort");
    if (port == nullptr) continue;
    const bool taken =
        std::any_of(own.begin(), own.end(), [&](uint16_t p) { return port->scalar == std::to_string(p); });
    if (!taken) continue;
    return pod.fail(*port, container.path + ".ports[" + std::to_string(i) + "].containerPort",
                    port->scalar + " is a port of the sidecar: give the application another one");
  }
  return {};
}

}  // namespace

std::string Pod::annotation_or(std::string_view key, const std::string& otherwise) const {
  const Node* value = annotation(key);
  return value == nullptr || !value->is_scalar() ? otherwise : value->scalar;
}

const Node* Pod::entry(std::string_view map, std::string_view key) const {
  const Node* metadata = root->find("metadata");
  const Node* entries = metadata == nullptr ? nullptr : metadata->find(map);
  return entries == nullptr ? nullptr : entries->find(key);
}

std::unexpected<ConfigError> Pod::fail(const Node& at, std::string_view field, std::string reason) const {
  return std::unexpected(
      ConfigError{.file = file, .line = at.line, .path = path + std::string(field), .reason = std::move(reason)});
}

Result<std::vector<AppContainer>> app_containers(const Pod& pod) {
  std::vector<AppContainer> out;
  PILLION_TRY(add_containers(pod, "initContainers", true, out));
  PILLION_TRY(add_containers(pod, "containers", false, out));
  return out;
}

Result<void> check_pod(const Pod& pod, const InjectConfig& config) {
  const Node& spec = *pod.spec();
  if (const Node* network = spec.find("hostNetwork"); network != nullptr && network->is_true()) {
    return pod.fail(*network, "spec.hostNetwork",
                    "the rules would redirect the traffic of the whole node: take the pod out with the annotation "
                    "pillion.dev/inject: \"false\"");
  }
  const Node* os = spec.find("os");
  if (const Node* name = os == nullptr ? nullptr : os->find("name"); name != nullptr && name->scalar == "windows") {
    return pod.fail(*name, "spec.os.name", "the sidecar runs on Linux only");
  }
  const Node* mode = pod.annotation("sidecar.istio.io/interceptionMode");
  if (mode != nullptr && mode->scalar != "REDIRECT" && mode->scalar != "NONE") {
    return pod.fail(*mode, "metadata.annotations.sidecar.istio.io/interceptionMode",
                    "\"" + mode->scalar + "\" is not supported: REDIRECT or NONE");
  }
  PILLION_TRY(check_ids(pod, spec, "spec.", config));
  const auto containers = app_containers(pod);
  if (!containers) return std::unexpected(containers.error());
  for (const AppContainer& container : *containers) {
    PILLION_TRY(check_ids(pod, *container.node, container.path + ".", config));
    PILLION_TRY(check_ports(pod, container, config));
  }
  return {};
}

Result<long long> integer_field(const Pod& pod, const Node& map, std::string_view key, std::string_view path,
                                long long otherwise) {
  const Node* value = map.find(key);
  if (value == nullptr || value->is_null()) return otherwise;
  if (!value->is_integer()) return pod.fail(*value, path, "\"" + value->scalar + "\" is not a whole number");
  return std::strtoll(value->scalar.c_str(), nullptr, 10);
}

}  // namespace pillion::k8s
