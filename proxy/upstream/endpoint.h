// One endpoint of a cluster, in two halves: what all workers share (health, counts: SharedEndpoint, owned by the
// SharedCluster) and what each worker has for itself (Endpoint: its pools).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "proxy/base/list.h"
#include "proxy/base/weak.h"
#include "proxy/config/cluster.h"
#include "proxy/net/dialer.h"

namespace pillion::upstream {

class Pool;
class Cluster;

// Single values are relaxed atomics: each is exact, together they are a good enough picture. One cache line per
// endpoint, so that workers do not disturb each other's neighbours.
struct alignas(64) SharedEndpoint {
  explicit SharedEndpoint(const Address& a) : address(a) {}
  Address address;
  std::atomic<uint32_t> active_requests{0};
  std::atomic<uint32_t> active_connections{0};
  std::atomic<uint64_t> requests_total{0};
  std::atomic<uint64_t> success_total{0};
  std::atomic<uint64_t> error_total{0};
  std::atomic<uint64_t> timeout_total{0};
  std::atomic<uint64_t> connect_fail_total{0};
  std::atomic<uint64_t> connect_total{0};
  // Outlier detection: written under SharedCluster's mutex, read by everybody. Microseconds of the monotonic clock.
  std::atomic<int64_t> ejected_until_us{0};  // 0 = not ejected
  std::atomic<uint32_t> consecutive_5xx{0};
  std::atomic<uint32_t> consecutive_gateway{0};
  std::atomic<uint32_t> consecutive_local_origin{0};
  std::atomic<uint32_t> ejections{0};  // multiplier of the ejection time
  std::atomic<uint64_t> ejections_total{0};
};

class Endpoint : public WeakTarget<Endpoint> {
 public:
  Endpoint(Cluster& cluster, const config::Endpoint& config, const config::Locality& locality, uint32_t priority,
           std::shared_ptr<SharedEndpoint> shared);
  ~Endpoint();

  Cluster& cluster() const { return cluster_; }
  const config::Endpoint& config() const { return config_; }
  const config::Locality& locality() const { return locality_; }
  uint32_t priority() const { return priority_; }
  const Address& address() const { return shared_->address; }
  SharedEndpoint& shared() const { return *shared_; }

  bool is_ejected(Instant now) const {
    const int64_t until = shared_->ejected_until_us.load(std::memory_order_relaxed);
    return until != 0 && now.time_since_epoch().count() < until;
  }
  // By health_status of EDS alone: unhealthy, draining and timeout are not.
  bool is_config_healthy() const {
    return config_.health == config::HealthStatus::unknown || config_.health == config::HealthStatus::healthy ||
           config_.health == config::HealthStatus::degraded;
  }

  // What a connection to it needs: address, bind, TLS by transport_socket_matches, timeouts.
  // Fails with tls_failed while a secret that its TLS needs has not arrived.
  Expected<net::DialOptions> dial_options() const;
  const config::TlsContext* tls() const { return tls_; }  // null = plain text

  Pool& http_pool(config::Cluster::Protocol protocol);  // made on first use; not `downstream`
  void drain_pools();                                   // the endpoint left the cluster: finish what runs, then close

 private:
  Cluster& cluster_;
  config::Endpoint config_;
  config::Locality locality_;
  uint32_t priority_;
  std::shared_ptr<SharedEndpoint> shared_;
  const config::TlsContext* tls_ = nullptr;
  std::array<std::unique_ptr<Pool>, 3> pools_;  // http1, http2, automatic
};

}  // namespace pillion::upstream
