// What `pillion inject` puts into a pod where the pod itself says nothing else.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "proxy/base/config_error.h"

namespace pillion::k8s {

struct InjectConfig {
  std::string image =
      "pillion:latest";  // Its PATH holds `pillion`, iptables and ip6tables. sidecar.istio.io/proxyImage
  std::string image_pull_policy = "IfNotPresent";
  std::string control_plane = "pillion-control.pillion-system.svc:15012";  // For --control-plane.
  std::string log_level = "info";                                          // sidecar.istio.io/logLevel
  int concurrency = 0;                                                     // Worker threads; 0: the proxy decides.

  uint16_t inbound_port = 15006;
  uint16_t outbound_port = 15001;
  uint16_t admin_port = 15000;  // On loopback; the preStop hook speaks to it.
  uint16_t probe_port = 15020;  // Where rewritten probes go.
  uint16_t ready_port = 15021;  // Where the kubelet asks for /ready, so on the pod's address.
  uint16_t metrics_port = 15090;
  uint32_t proxy_uid = 1337;
  uint32_t proxy_gid = 1337;

  std::string cpu_request = "100m";     // sidecar.istio.io/proxyCPU; an empty one is left out.
  std::string memory_request = "64Mi";  // sidecar.istio.io/proxyMemory
  std::string cpu_limit;                // sidecar.istio.io/proxyCPULimit; none, since throttling shows up as latency.
  std::string memory_limit = "512Mi";   // sidecar.istio.io/proxyMemoryLimit

  // Sends the kubelet's HTTP, TCP and gRPC probes to probe_port, /app-health/<container>/<livez|readyz|startupz>, with
  // the originals in PILLION_APP_PROBES. Off as long as the proxy does not answer there.
  bool rewrite_probes = false;

  // k8s::is_capture_annotation and k8s::check_capture_annotation, handed in because the injector does not see
  // k8s/capture. The second may be null: then bad values show when the pod starts.
  bool (*is_capture_annotation)(std::string_view key) = nullptr;
  std::expected<void, ConfigError> (*check_capture_annotation)(std::string_view key, std::string_view value) = nullptr;
};

}  // namespace pillion::k8s
