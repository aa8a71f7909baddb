// `pillion inject`: puts the init step and the sidecar into the pods of Kubernetes manifests. Pure: text to text.
//
// Changed are Pod, and the pod templates of Deployment, StatefulSet, DaemonSet, ReplicaSet, ReplicationController, Job,
// CronJob, and such inside a List; everything else passes. A pod is left as it is when it says so
// (sidecar.istio.io/inject or pillion.dev/inject is "false", as label or annotation) or has been injected already
// (annotation pillion.dev/status), so that a second run changes nothing. Comments are lost; see document.h.
//
// Into spec.initContainers go, before all others, so that these have the mesh too:
//   pillion-init    runs `pillion init` with the pod's capture annotations, as root with NET_ADMIN and NET_RAW
//   pillion-proxy   restartPolicy Always: a native sidecar (Kubernetes 1.29), which outlives the application at the end
//                   and does not keep a Job alive
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/inject/config.h"
#include "proxy/base/config_error.h"

namespace pillion::k8s {

// Errors name file, line and field. `notes`, where given, receives one sentence for each workload: injected or why not.
std::expected<std::string, ConfigError> inject(std::string_view yaml, std::string_view file_name,
                                               const InjectConfig& config, std::vector<std::string>* notes = nullptr);

}  // namespace pillion::k8s
