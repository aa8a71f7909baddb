// `pillion inject -f FILE…`: prints the manifests with the sidecar.
//
//   -f, --filename FILE            repeatable; "-" is the standard input
//   --image IMAGE                  pillion:latest
//   --image-pull-policy POLICY     IfNotPresent
//   --control-plane ADDR           pillion-control.pillion-system.svc:15012
//   --concurrency N                0: the proxy decides
//   -l, --log-level LEVEL          info   of the sidecar
//   --rewrite-probes               off
//
// The manifests go to the standard output and can be piped to `kubectl apply -f -`; a sentence for each workload goes
// to the standard error. Nothing is printed to the standard output when any file has an error.
// Exit status: 0 done, 1 an error in a file, 2 no file given.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "k8s/inject/inject.h"

namespace pillion::k8s {

struct InjectOptions {
  std::vector<std::string> files;
  InjectConfig config;  // cli sets is_capture_annotation and check_capture_annotation to those of k8s/capture/config.h.
};

int run_inject(const InjectOptions& options, std::ostream& out, std::ostream& err);

}  // namespace pillion::k8s
