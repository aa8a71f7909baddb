#include "k8s/inject/sidecar.h"

#include <algorithm>

namespace pillion::k8s {
namespace {

constexpr const char* kTokenVolume = "pillion-token";
constexpr const char* kTokenDirectory = "/var/run/secrets/pillion";
constexpr const char* kRunVolume = "pillion-run";
constexpr const char* kRunDirectory = "/run/pillion";
constexpr const char* kTokenAudience = "pillion";
constexpr int kTokenSeconds = 12 * 3600;  // The kubelet renews it at 80 % of that.

// What is left of the grace period after draining: for SIGTERM to be obeyed before SIGKILL comes.
constexpr long long kKillMarginSeconds = 5;

// The application waits for this probe at each start, so it asks often, and long enough for a slow first image pull of
// the control plane.
constexpr int kStartupPeriodSeconds = 1;
constexpr int kStartupFailures = 600;
constexpr int kReadyPeriodSeconds = 10;
constexpr int kReadyFailures = 4;
constexpr int kProbeTimeoutSeconds = 3;

Node field_env(const char* name, const char* field) {
  return map_node({{"name", text_node(name)},
                   {"valueFrom", map_node({{"fieldRef", map_node({{"fieldPath", text_node(field)}})}})}});
}

Node value_env(const char* name, std::string_view value) {
  return map_node({{"name", text_node(name)}, {"value", text_node(value)}});
}

Node environment(const SidecarInput& input) {
  Node env =
      list_node({field_env("POD_NAME", "metadata.name"), field_env("POD_NAMESPACE", "metadata.namespace"),
                 field_env("POD_UID", "metadata.uid"), field_env("POD_IP", "status.podIP"),
                 field_env("POD_IPS", "status.podIPs"), field_env("HOST_IP", "status.hostIP"),
                 field_env("NODE_NAME", "spec.nodeName"), field_env("SERVICE_ACCOUNT", "spec.serviceAccountName"),
                 value_env("PILLION_TOKEN_FILE", std::string(kTokenDirectory) + "/token")});
  if (!input.app_probes.empty()) env.items.push_back(value_env("PILLION_APP_PROBES", input.app_probes));
  return env;
}

// A name for the service that the pod belongs to, as users label it.
std::string service_name(const Pod& pod) {
  for (const char* key : {"app.kubernetes.io/name", "app", "k8s-app"}) {
    if (const Node* label = pod.label(key); label != nullptr && !label->scalar.empty()) return label->scalar;
  }
  return pod.workload;
}

std::vector<std::string> proxy_arguments(const SidecarInput& input) {
  const InjectConfig& config = *input.config;
  std::vector<std::string> args = {"proxy", "--control-plane", config.control_plane, "--service-node",
                                   "$(POD_NAME).$(POD_NAMESPACE)"};
  if (const std::string name = service_name(*input.pod); !name.empty()) {
    args.insert(args.end(), {"--service-cluster", name + ".$(POD_NAMESPACE)"});
  }
  if (config.concurrency > 0) args.insert(args.end(), {"--concurrency", std::to_string(config.concurrency)});
  const long long drain = std::max(1LL, input.grace_seconds - kKillMarginSeconds);
  args.insert(args.end(), {"--drain-time-s", std::to_string(drain)});
  args.insert(args.end(), {"-l", input.pod->annotation_or("sidecar.istio.io/logLevel", config.log_level)});
  return args;
}

std::vector<std::string> init_arguments(const SidecarInput& input) {
  const InjectConfig& config = *input.config;
  const auto number = [](uint32_t n) { return std::to_string(n); };
  std::vector<std::string> args = {"init",
                                   "--inbound-port",
                                   number(config.inbound_port),
                                   "--outbound-port",
                                   number(config.outbound_port),
                                   "--proxy-ports",
                                   number(config.admin_port) + "," + number(config.probe_port) + "," +
                                       number(config.ready_port) + "," + number(config.metrics_port),
                                   "--proxy-uid",
                                   number(config.proxy_uid),
                                   "--proxy-gid",
                                   number(config.proxy_gid)};
  for (const std::string& annotation : input.capture_annotations) {
    args.insert(args.end(), {"--annotation", annotation});
  }
  return args;
}

Node resources(const SidecarInput& input) {
  const InjectConfig& config = *input.config;
  const auto group = [&](const char* cpu_key, const std::string& cpu, const char* memory_key,
                         const std::string& memory) {
    Node map = map_node({});
    const std::string cpu_value = input.pod->annotation_or(cpu_key, cpu);
    const std::string memory_value = input.pod->annotation_or(memory_key, memory);
    if (!cpu_value.empty()) map.set("cpu", text_node(cpu_value));
    if (!memory_value.empty()) map.set("memory", text_node(memory_value));
    return map;
  };
  Node out = map_node({});
  Node limits = group("sidecar.istio.io/proxyCPULimit", config.cpu_limit, "sidecar.istio.io/proxyMemoryLimit",
                      config.memory_limit);
  Node requests =
      group("sidecar.istio.io/proxyCPU", config.cpu_request, "sidecar.istio.io/proxyMemory", config.memory_request);
  if (!limits.entries.empty()) out.set("limits", std::move(limits));
  if (!requests.entries.empty()) out.set("requests", std::move(requests));
  return out;
}

Node security_context(long long uid, long long gid, const std::vector<std::string>& added_capabilities) {
  Node capabilities = map_node({});
  if (!added_capabilities.empty()) capabilities.set("add", texts_node(added_capabilities));
  capabilities.set("drop", texts_node({"ALL"}));
  return map_node({{"allowPrivilegeEscalation", plain_node("false")},
                   {"capabilities", std::move(capabilities)},
                   {"privileged", plain_node("false")},
                   {"readOnlyRootFilesystem", plain_node("true")},
                   {"runAsGroup", number_node(gid)},
                   // Said in either case, since the pod's own context may demand the contrary for all containers.
                   {"runAsNonRoot", plain_node(uid == 0 ? "false" : "true")},
                   {"runAsUser", number_node(uid)}});
}

Node ready_probe(const InjectConfig& config, int period, int failures) {
  return map_node({{"httpGet", map_node({{"path", text_node("/ready")}, {"port", number_node(config.ready_port)}})},
                   {"periodSeconds", number_node(period)},
                   {"timeoutSeconds", number_node(kProbeTimeoutSeconds)},
                   {"failureThreshold", number_node(failures)}});
}

Node mount(const char* volume, const char* directory, bool read_only) {
  Node node = map_node({{"name", text_node(volume)}, {"mountPath", text_node(directory)}});
  if (read_only) node.set("readOnly", plain_node("true"));
  return node;
}

Node container(std::string_view name, const SidecarInput& input, const std::vector<std::string>& args) {
  return map_node({{"name", text_node(name)},
                   {"image", text_node(input.pod->annotation_or("sidecar.istio.io/proxyImage", input.config->image))},
                   {"imagePullPolicy", text_node(input.config->image_pull_policy)},
                   {"command", texts_node({"pillion"})},
                   {"args", texts_node(args)}});
}

}  // namespace

Node init_container(const SidecarInput& input) {
  Node node = container(kInitContainer, input, init_arguments(input));
  node.set("resources", resources(input));
  node.set("securityContext", security_context(0, 0, {"NET_ADMIN", "NET_RAW"}));
  return node;
}

Node proxy_container(const SidecarInput& input) {
  const InjectConfig& config = *input.config;
  Node node = container(kProxyContainer, input, proxy_arguments(input));
  node.set("restartPolicy", text_node("Always"));
  node.set("env", environment(input));
  node.set("startupProbe", ready_probe(config, kStartupPeriodSeconds, kStartupFailures));
  node.set("readinessProbe", ready_probe(config, kReadyPeriodSeconds, kReadyFailures));
  // The hook runs when the pod begins to end, while the application still works: from then on the proxy tells its
  // clients to go elsewhere. SIGTERM comes to a native sidecar only after the application is gone.
  std::vector<std::string> drain = {"pillion", "drain"};
  if (config.admin_port != 15000)
    drain.insert(drain.end(), {"--admin", "127.0.0.1:" + std::to_string(config.admin_port)});
  node.set("lifecycle", map_node({{"preStop", map_node({{"exec", map_node({{"command", texts_node(drain)}})}})}}));
  node.set("resources", resources(input));
  node.set("securityContext", security_context(config.proxy_uid, config.proxy_gid, {}));
  node.set("volumeMounts",
           list_node({mount(kTokenVolume, kTokenDirectory, true), mount(kRunVolume, kRunDirectory, false)}));
  return node;
}

std::vector<Node> sidecar_volumes() {
  Node token = map_node({{"serviceAccountToken", map_node({{"audience", text_node(kTokenAudience)},
                                                           {"expirationSeconds", number_node(kTokenSeconds)},
                                                           {"path", text_node("token")}})}});
  return {map_node({{"name", text_node(kTokenVolume)},
                    {"projected", map_node({{"sources", list_node({std::move(token)})}})}}),
          // Keys stay in memory and go with the pod.
          map_node({{"name", text_node(kRunVolume)}, {"emptyDir", map_node({{"medium", text_node("Memory")}})}})};
}

}  // namespace pillion::k8s
