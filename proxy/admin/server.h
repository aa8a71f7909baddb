// The admin server: pages in Envoy's shapes about the proxy in this process, on the main loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/page.h"
#include "proxy/worker/server.h"

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

class AdminServer {
 public:
  virtual ~AdminServer() = default;
  // Where it listens: `listen` in order, then `ready_listen`; ports that were 0 are the kernel's.
  virtual std::vector<Address> addresses() const = 0;
  virtual const char* state() const = 0;  // "LIVE", "DRAINING", "PRE_INITIALIZING"
};

// `more_pages` come from layers above; one with the path of a page of ours replaces it. Errors: of the listeners.
Expected<std::unique_ptr<AdminServer>> make_admin_server(worker::Server& server, const AdminOptions& options,
                                                         std::vector<std::unique_ptr<Page>> more_pages);

}  // namespace pillion::admin
