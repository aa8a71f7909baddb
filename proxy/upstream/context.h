// What the parts of a worker's half of a cluster (pools, connections, connectors) know of it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "proxy/base/error.h"
#include "proxy/config/cluster.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"
#include "proxy/upstream/shared.h"

namespace pillion::upstream {

// The TLS contexts of now. Outlives the clusters.
class TlsContexts {
 public:
  virtual ~TlsContexts() = default;
  // The context for `tls` with the secrets of now; an error while a secret has not arrived.
  virtual Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext& tls) = 0;
};

// What a cluster's connections need from their worker. All of it outlives the cluster.
struct Services {
  event::Executor& executor;
  net::Dialer& dialer;
  net::Resolver* resolver;  // null: DNS clusters stay empty
  TlsContexts& tls;
};

struct ClusterContext {
  Services& services;
  std::shared_ptr<const config::Cluster> config;
  std::shared_ptr<SharedCluster> shared;
  size_t population = 0;                              // endpoints of the cluster
  uint32_t users = 0;                                 // pins: the cluster must not be destroyed
  std::vector<std::pair<uint16_t, StatId>> statuses;  // the counters of those seen so far: few, so they are scanned

  event::Executor& executor() const { return services.executor; }
  const ClusterStats& stats() const { return shared->stats(); }
  const config::CircuitBreaker& limits(uint32_t priority) const { return config->breakers[priority & 1]; }
  BreakerCounts& counts(uint32_t priority) const { return shared->breakers()[priority & 1]; }
  void add_stat(StatId id, uint64_t n = 1) const { services.executor.stats.add(id, n); }
  void sub_stat(StatId id, uint64_t n = 1) const { services.executor.stats.sub(id, n); }
  void report(SharedEndpoint& endpoint, const Outcome& outcome) const;
  void count_status(uint16_t status);  // 100..999
};

// Keeps a cluster that left the configuration alive while somebody still refers to it.
class ClusterPin {
 public:
  ClusterPin() = default;
  explicit ClusterPin(ClusterContext& context) : context_(&context) { ++context.users; }
  ClusterPin(ClusterPin&& o) noexcept : context_(std::exchange(o.context_, nullptr)) {}
  ClusterPin& operator=(ClusterPin&& o) noexcept {
    std::swap(context_, o.context_);
    return *this;
  }
  ~ClusterPin() {
    if (context_ != nullptr) --context_->users;
  }
  ClusterContext* get() const { return context_; }

 private:
  ClusterContext* context_ = nullptr;
};

// One connection, or a dial on its way to be one, in all places where it is counted: the breaker, the gauge, the
// endpoint. Given back when dropped.
class ConnectionSlot {
 public:
  ConnectionSlot() = default;
  ConnectionSlot(ClusterContext& context, std::shared_ptr<SharedEndpoint> endpoint, BreakerSlot breaker);
  ConnectionSlot(ConnectionSlot&& o) noexcept = default;
  ConnectionSlot& operator=(ConnectionSlot&& o) noexcept;
  ~ConnectionSlot() { release(); }
  explicit operator bool() const { return endpoint_ != nullptr; }
  void release();
  ClusterContext& context() const { return *pin_.get(); }
  SharedEndpoint& endpoint() const { return *endpoint_; }

 private:
  ClusterPin pin_;
  std::shared_ptr<SharedEndpoint> endpoint_;
  BreakerSlot breaker_;
};

}  // namespace pillion::upstream
