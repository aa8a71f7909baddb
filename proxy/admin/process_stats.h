// Gauges about the process as a whole, set when somebody asks: server.*, listener_manager.*, cluster_manager.*.
#pragma once

#include <optional>
#include <vector>

#include "proxy/admin/context.h"
#include "proxy/base/stats.h"

namespace pillion::admin {

class ServerStats {
 public:
  explicit ServerStats(StatRegistry& registry);
  ServerStats(const ServerStats&) = delete;
  ServerStats& operator=(const ServerStats&) = delete;
  ~ServerStats();
  void refresh(const Context& context);

 private:
  struct Gauge {
    StatId id;
    uint64_t value = 0;
  };
  Gauge gauge(const char* name);
  void set(Gauge& gauge, uint64_t value);
  uint64_t days_until_expiry(const config::SnapshotPtr& snapshot);

  StatRegistry& registry_;
  StatSlab slab_;
  Gauge live_, state_, uptime_, concurrency_, total_connections_, physical_size_, allocated_;
  Gauge workers_started_, listeners_active_, listeners_failed_, active_clusters_;
  Gauge days_until_expiry_;
  config::SnapshotPtr dated_;  // the configuration that first_expiry_ is of; certificates are read once for each
  std::optional<int64_t> first_expiry_;
};

}  // namespace pillion::admin
