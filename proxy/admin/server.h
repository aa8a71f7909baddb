// The admin server: pages in Envoy's shapes about the proxy in this process, on the main loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/options.h"
#include "proxy/admin/page.h"
#include "proxy/worker/server.h"

namespace pillion::admin {

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
