// `pillion proxy`: the data plane as a process. Its configuration comes from a bootstrap file (-c), or, as a member of
// a mesh, from a control plane of which only the address and a join token are known (--control-plane).
#pragma once

#include <cstdint>
#include <string>

namespace pillion::cli {

struct ProxyOptions {
  std::string config_path;
  std::string control_plane;    // HOST:PORT
  std::string join_token_file;  // with control_plane; the environment's PILLION_TOKEN_FILE where it is not given
  std::string admin = "127.0.0.1:15000";  // with control_plane; a bootstrap file says its own
  std::string ready = "0.0.0.0:15021";    // with control_plane: /ready for probes, and nothing else
  bool state_of_the_world = false;        // with control_plane: sotw instead of delta xDS
  uint32_t concurrency = 0;               // 0: one worker per processor
  std::string service_node;
  std::string service_cluster;
  std::string log_level = "info";
  uint32_t drain_time_s = 600;
  std::string mode = "serve";  // or "validate": says whether the file is good, and ends
};

// Runs until it is told to end; the exit status.
int run_proxy(const ProxyOptions& options);

}  // namespace pillion::cli
