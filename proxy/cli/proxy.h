// `pillion proxy`: the data plane as a process.
#pragma once

#include <cstdint>
#include <string>

namespace pillion::cli {

struct ProxyOptions {
  std::string config_path;
  uint32_t concurrency = 0;  // 0: one worker per processor
  std::string service_node;
  std::string service_cluster;
  std::string log_level = "info";
  uint32_t drain_time_s = 600;
  std::string mode = "serve";  // or "validate": says whether the file is good, and ends
};

// Runs until it is told to end; the exit status.
int run_proxy(const ProxyOptions& options);

}  // namespace pillion::cli
