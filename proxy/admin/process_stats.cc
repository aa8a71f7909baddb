#include "proxy/admin/process_stats.h"

#include "proxy/admin/certificates.h"
#include "proxy/admin/memory.h"

namespace pillion::admin {

ServerStats::ServerStats(StatRegistry& registry)
    : registry_(registry),
      live_(gauge("server.live")),
      state_(gauge("server.state")),
      uptime_(gauge("server.uptime")),
      concurrency_(gauge("server.concurrency")),
      total_connections_(gauge("server.total_connections")),
      physical_size_(gauge("server.memory_physical_size")),
      allocated_(gauge("server.memory_allocated")),
      workers_started_(gauge("listener_manager.workers_started")),
      listeners_active_(gauge("listener_manager.total_listeners_active")),
      listeners_failed_(gauge("listener_manager.total_listeners_failed")),
      active_clusters_(gauge("cluster_manager.active_clusters")),
      days_until_expiry_(gauge("server.days_until_first_cert_expiring")) {
  registry_.attach(slab_);
}

ServerStats::~ServerStats() {
  for (Gauge* g : {&live_, &state_, &uptime_, &concurrency_, &total_connections_, &physical_size_, &allocated_,
                   &workers_started_, &listeners_active_, &listeners_failed_, &active_clusters_, &days_until_expiry_}) {
    set(*g, 0);  // a detached slab stays in the sums
  }
  registry_.detach(slab_);
}

ServerStats::Gauge ServerStats::gauge(const char* name) {
  return {.id = registry_.gauge({.full = name, .base = name, .labels = {}})};
}

void ServerStats::set(Gauge& gauge, uint64_t value) {
  slab_.add(gauge.id, value - gauge.value);
  gauge.value = value;
}

void ServerStats::refresh(const Context& context) {
  const worker::Server& server = context.server;
  const uint32_t state = context.state_number();
  uint64_t failed = 0;
  const std::vector<worker::ListenerStatus> listeners = server.listeners();
  for (const worker::ListenerStatus& listener : listeners) failed += listener.error.empty() ? 0 : 1;
  const MemoryUse memory = memory_use();
  set(live_, state == 0);
  set(state_, state);
  set(uptime_, static_cast<uint64_t>((context.server.main_loop().now() - context.started).count()) / 1'000'000);
  set(concurrency_, context.options.command_line.concurrency);
  set(total_connections_, server.connections());
  set(physical_size_, memory.resident_bytes);
  set(allocated_, memory.allocated_bytes);
  set(workers_started_, server.snapshot() != nullptr);
  set(listeners_active_, listeners.size() - failed);
  set(listeners_failed_, failed);
  set(active_clusters_, server.snapshot() == nullptr ? 0 : server.snapshot()->clusters.size());
  set(days_until_expiry_, days_until_expiry(server.snapshot()));
}

uint64_t ServerStats::days_until_expiry(const config::SnapshotPtr& snapshot) {
  if (snapshot != dated_) {
    first_expiry_ = first_expiration(*snapshot);
    dated_ = snapshot;
  }
  return first_expiry_ ? days_until(*first_expiry_, wall_now_us()) : UINT32_MAX;  // Envoy's "never"
}

}  // namespace pillion::admin
