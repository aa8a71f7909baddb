// The kubelet's probes under a sidecar. Under strict mTLS the kubelet, which has no certificate, is refused, and a TCP
// probe would find the proxy's port open even when the application is dead. So probes go to the proxy, and it asks the
// application on loopback. Exec probes, and probes with a `host` of their own, are not the proxy's business.
#pragma once

#include "k8s/inject/pod.h"

namespace pillion::k8s {

// Rewrites the probes in place and returns the originals, as JSON: an object from the new path to the probe's handler
// with its timeout, ports as numbers:
//   {"/app-health/web/readyz":{"httpGet":{"path":"/ok","port":8080},"timeoutSeconds":1}}
// Empty when no probe was rewritten.
Result<std::string> rewrite_probes(const Pod& pod, const InjectConfig& config);

}  // namespace pillion::k8s
