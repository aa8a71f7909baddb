// What is added to a pod: the two containers and their volumes, as trees.
#pragma once

#include <string>
#include <vector>

#include "k8s/inject/pod.h"

namespace pillion::k8s {

struct SidecarInput {
  const InjectConfig* config = nullptr;
  const Pod* pod = nullptr;
  std::vector<std::string> capture_annotations;  // "KEY=VALUE"
  std::string app_probes;                        // From rewrite_probes; empty: none.
  long long grace_seconds = 30;                  // terminationGracePeriodSeconds
};

Node init_container(const SidecarInput& input);
Node proxy_container(const SidecarInput& input);
std::vector<Node> sidecar_volumes();

}  // namespace pillion::k8s
