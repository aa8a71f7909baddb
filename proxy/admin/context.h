// What the pages of this layer look at and steer.
#pragma once

#include <memory>
#include <vector>

#include "proxy/admin/options.h"
#include "proxy/admin/page.h"
#include "proxy/worker/server.h"

namespace pillion::admin {

class ServerStats;

struct Context {
  worker::Server& server;
  const AdminOptions& options;
  Instant started;
  bool health_failed = false;  // POST /healthcheck/fail
  ServerStats* server_stats = nullptr;
  const std::vector<std::unique_ptr<Page>>* pages = nullptr;  // for /help

  const char* state() const;
  uint32_t state_number() const;  // as server.state: 0 live, 1 draining, 2 pre-initializing, 3 initializing
};

}  // namespace pillion::admin
