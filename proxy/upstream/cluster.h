// The runtime of a cluster. SharedCluster is the half that all workers share: circuit-breaker counts, endpoint health,
// outlier ejections. Cluster is a worker's half: endpoints with their pools, and the balancer's lists, which it
// rebuilds when the shared generation moved. Made on first use; keyed by name and content hash, so that an update of
// one cluster leaves the others alone.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/base/error.h"
#include "proxy/base/stats.h"
#include "proxy/config/cluster.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"
#include "proxy/upstream/circuit.h"
#include "proxy/upstream/endpoint.h"

namespace pillion::upstream {

// Ids of a cluster's counters, allocated once per cluster name. Envoy's names: cluster.NAME.<field>.
struct ClusterStats {
  ClusterStats(StatRegistry& registry, const std::string& stat_name);
  StatId upstream_cx_total, upstream_cx_active, upstream_cx_http1_total, upstream_cx_http2_total,
      upstream_cx_connect_fail, upstream_cx_connect_timeout, upstream_cx_idle_timeout, upstream_cx_overflow,
      upstream_cx_destroy, upstream_cx_destroy_local, upstream_cx_destroy_remote, upstream_cx_destroy_with_active_rq,
      upstream_cx_protocol_error, upstream_cx_max_requests, upstream_cx_pool_overflow, upstream_cx_none_healthy,
      upstream_cx_rx_bytes_total, upstream_cx_tx_bytes_total, upstream_rq_total, upstream_rq_active,
      upstream_rq_pending_total, upstream_rq_pending_active, upstream_rq_pending_overflow,
      upstream_rq_pending_failure_eject, upstream_rq_cancelled, upstream_rq_timeout, upstream_rq_per_try_timeout,
      upstream_rq_rx_reset, upstream_rq_tx_reset, upstream_rq_retry, upstream_rq_retry_success,
      upstream_rq_retry_overflow, upstream_rq_retry_limit_exceeded, upstream_rq_retry_backoff_exponential,
      upstream_rq_completed, upstream_rq_1xx, upstream_rq_2xx, upstream_rq_3xx, upstream_rq_4xx, upstream_rq_5xx,
      upstream_rq_time, upstream_rq_safe_replay, lb_healthy_panic, membership_change, membership_total,
      membership_healthy, membership_excluded, outlier_ejections_active, outlier_ejections_enforced_total,
      outlier_ejections_overflow, outlier_ejections_enforced_consecutive_5xx,
      outlier_ejections_enforced_consecutive_gateway_failure,
      outlier_ejections_enforced_consecutive_local_origin_failure, update_attempt, update_success, update_failure,
      update_no_rebuild, ssl_handshake, ssl_connection_error;
};

// What one use of an endpoint came to, for outlier detection.
struct Outcome {
  enum class Kind : uint8_t { response, connect_failed, timeout, reset };
  Kind kind = Kind::response;
  uint16_t status = 0;   // response
  int grpc_status = -1;  // -1 = not gRPC
};

class SharedCluster {
 public:
  SharedCluster(std::string name, StatRegistry& registry, const std::string& stat_name);

  const std::string& name() const { return name_; }
  const ClusterStats& stats() const { return stats_; }
  std::array<BreakerCounts, 2>& breakers() { return breakers_; }

  // The shared half of an endpoint; kept alive by the workers' endpoints that refer to it.
  std::shared_ptr<SharedEndpoint> endpoint(const Address& address);

  // Counts the outcome and ejects where the limits say so (algorithms.md "Outlier detection"). `population` is the
  // number of endpoints that max_ejection_percent is measured against.
  void report(SharedEndpoint& endpoint, const Outcome& outcome, const config::OutlierDetection& config,
              size_t population, Instant now, Random& random, StatSlab& slab);
  // Moves with each ejection: the workers' lists are stale when it does.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  size_t ejected(Instant now) const;

 private:
  bool eject(SharedEndpoint& endpoint, const config::OutlierDetection& config, size_t population, Instant now,
             Random& random, StatSlab& slab);

  std::string name_;
  ClusterStats stats_;
  std::array<BreakerCounts, 2> breakers_;
  std::atomic<uint64_t> generation_{1};
  mutable std::mutex mutex_;  // cold: endpoint creation and ejection
  std::unordered_map<Address, std::weak_ptr<SharedEndpoint>, AddressHash> endpoints_;
};

struct PickContext {
  uint32_t priority = 0;           // routing priority: which breakers count
  std::optional<uint64_t> hash;    // of the route's hash policies
  std::span<const Address> avoid;  // endpoints that were tried already (previous_hosts)
  uint32_t attempts_max = 1;       // host_selection_retry_max_attempts
  Address original_destination;    // ORIGINAL_DST clusters
};

// What a cluster's connections need from their worker. All of it outlives the cluster.
class TlsContexts {
 public:
  virtual ~TlsContexts() = default;
  // The context for `tls` with the secrets of now; an error while a secret has not arrived.
  virtual Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext& tls) = 0;
};
struct Services {
  event::Executor& executor;
  net::Dialer& dialer;
  net::Resolver* resolver;  // null: DNS clusters stay empty
  TlsContexts& tls;
};

class Cluster {
 public:
  Cluster(Services& services, std::shared_ptr<const config::Cluster> config, std::shared_ptr<SharedCluster> shared);
  ~Cluster();

  const config::Cluster& config() const { return *config_; }
  SharedCluster& shared() const { return *shared_; }
  const ClusterStats& stats() const { return shared_->stats(); }
  Services& services() const { return services_; }

  // Replaces the endpoints; those that stay keep their pools. EDS, STATIC and DNS all end here.
  void set_assignment(std::shared_ptr<const config::EndpointAssignment> assignment);
  bool has_assignment() const { return assignment_ != nullptr; }

  // Priority, locality, health, then the policy. Errors: no_healthy_upstream.
  Expected<Endpoint*> pick(const PickContext& context);

  const config::CircuitBreaker& limits(uint32_t priority) const { return config_->breakers[priority & 1]; }
  BreakerCounts& counts(uint32_t priority) const { return shared_->breakers()[priority & 1]; }
  void report(Endpoint& endpoint, const Outcome& outcome);

  void drain();             // the cluster left the configuration: no new streams, connections close when idle
  bool is_drained() const;  // nothing runs any more: may be destroyed
  const std::vector<std::unique_ptr<Endpoint>>& endpoints() const { return endpoints_; }
  void add_stat(StatId id, uint64_t n = 1) const { services_.executor.stats.add(id, n); }
  void sub_stat(StatId id, uint64_t n = 1) const { services_.executor.stats.sub(id, n); }

 private:
  struct Lists;  // the balancer's view: per priority and locality, healthy and all
  void rebuild();
  Expected<Endpoint*> pick_original_destination(const PickContext& context);

  Services& services_;
  std::shared_ptr<const config::Cluster> config_;
  std::shared_ptr<SharedCluster> shared_;
  std::shared_ptr<const config::EndpointAssignment> assignment_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Endpoint>> leaving_;  // draining pools
  std::unique_ptr<Lists> lists_;
  uint64_t seen_generation_ = 0;
  Instant next_return_{};  // when the first ejected endpoint comes back
  class Dns;
  std::unique_ptr<Dns> dns_;  // STRICT_DNS, LOGICAL_DNS
};

// Finds a worker's runtime clusters by name, making them on first use. Implemented by worker/runtime.
class ClusterManager {
 public:
  virtual ~ClusterManager() = default;
  virtual Cluster* find(std::string_view name) = 0;  // null: no such cluster in the configuration
};

}  // namespace pillion::upstream
