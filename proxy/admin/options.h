// What the admin server is told of the process and of where it listens.
#pragma once

#include <string>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/time.h"
#include "proxy/config/snapshot.h"

namespace pillion::admin {

// What /server_info says of how the process was started.
struct CommandLine {
  std::string config_path;
  uint32_t concurrency = 1;
  std::string log_level;
  Duration drain_time{};
  std::string service_node;
  std::string service_cluster;
};

// Whether the first configuration is complete (static, or the first answers over xDS): PRE_INITIALIZING until then.
class Readiness {
 public:
  virtual bool is_initialized() const = 0;

 protected:
  ~Readiness() = default;
};

struct AdminOptions {
  std::vector<Address> listen;        // all pages; these should be loopback addresses
  std::vector<Address> ready_listen;  // /ready and /healthz/ready only: may be seen from outside
  std::string version;                // "0.1.0"
  std::string node_json = "{}";       // envoy.config.core.v3.Node as JSON
  CommandLine command_line;
  config::SnapshotPtr bootstrap;         // clusters that are not of it were added over xDS; null: all were
  const Readiness* readiness = nullptr;  // null: initialized once there is a snapshot
};

}  // namespace pillion::admin
