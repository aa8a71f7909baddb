// What all workers share of a cluster: circuit-breaker counts, the health of endpoints, outlier ejections. Single
// values are relaxed atomics: each is exact, together they are a good enough picture.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/random.h"
#include "proxy/base/time.h"
#include "proxy/config/cluster.h"
#include "proxy/upstream/circuit.h"
#include "proxy/upstream/stats.h"

namespace pillion::upstream {

enum class EjectionReason : uint8_t { none, consecutive_5xx, consecutive_gateway_failure, consecutive_local_origin };
const char* name_of(EjectionReason reason);  // as in Envoy's outlier event log: "CONSECUTIVE_5XX"

// One cache line of its own per endpoint, so that workers do not disturb each other's neighbours.
struct alignas(64) SharedEndpoint {
  explicit SharedEndpoint(const Address& a) : address(a) {}
  const Address address;
  std::atomic<uint32_t> active_requests{0};
  std::atomic<uint32_t> active_connections{0};
  std::atomic<uint64_t> requests_total{0};
  std::atomic<uint64_t> success_total{0};
  std::atomic<uint64_t> error_total{0};
  std::atomic<uint64_t> timeout_total{0};
  std::atomic<uint64_t> connect_fail_total{0};
  std::atomic<uint64_t> connect_total{0};
  // Outlier detection. The counts are written by whoever reports; the rest under SharedCluster's mutex, and read by
  // everybody. Times are microseconds of the monotonic clock.
  std::atomic<uint32_t> consecutive_5xx{0};
  std::atomic<uint32_t> consecutive_gateway{0};
  std::atomic<uint32_t> consecutive_local_origin{0};
  std::atomic<uint32_t> ejections{0};         // multiplier of the ejection time
  std::atomic<int64_t> ejected_until_us{0};   // 0 = never ejected
  std::atomic<int64_t> last_ejection_us{0};   // when the last ejection began; 0 = never
  std::atomic<EjectionReason> last_reason{};  // of the last ejection
  std::atomic<uint64_t> ejections_total{0};

  bool is_ejected(Instant now) const {
    return now.time_since_epoch().count() < ejected_until_us.load(std::memory_order_relaxed);
  }
};

// What one use of an endpoint came to, for outlier detection. A connection that was made is only news where local
// failures are told apart, or where nothing better will come (TCP).
struct Outcome {
  enum class Kind : uint8_t { response, connected, connected_tcp, connect_failed, timeout, reset };
  Kind kind = Kind::response;
  uint16_t status = 0;   // response
  int grpc_status = -1;  // -1 = not gRPC
};

class SharedCluster {
 public:
  SharedCluster(std::string name, StatRegistry& registry, const std::string& stat_name);
  SharedCluster(const SharedCluster&) = delete;
  SharedCluster& operator=(const SharedCluster&) = delete;

  const std::string& name() const { return name_; }
  const ClusterStats& stats() const { return stats_; }
  // cluster.NAME.upstream_rq_<status>. Looks the name up under a lock: workers keep what they were given.
  StatId status_counter(uint16_t status) const;
  std::array<BreakerCounts, 2>& breakers() { return breakers_; }

  // The shared half of an endpoint; kept alive by the workers' endpoints that refer to it.
  std::shared_ptr<SharedEndpoint> endpoint(const Address& address);
  std::vector<std::shared_ptr<SharedEndpoint>> endpoints() const;  // those alive, in the order of their addresses' text

  // Counts the outcome and ejects where the limits say so (algorithms.md "Outlier detection"). `population` is the
  // number of endpoints that max_ejection_percent is measured against.
  void report(SharedEndpoint& endpoint, const Outcome& outcome, const config::OutlierDetection& config,
              size_t population, Instant now, Random& random, StatSlab& slab);
  // Moves with each ejection, and when the end of one was noticed: the workers' lists are stale when it does.
  uint64_t generation() const { return generation_.load(std::memory_order_acquire); }
  // Ejections end by time alone; this takes those that have ended out of the gauge.
  void settle(Instant now, StatSlab& slab);
  size_t ejected(Instant now) const;

 private:
  struct Limit;
  void count_failure(SharedEndpoint& endpoint, std::atomic<uint32_t>& count, const Limit& limit,
                     const config::OutlierDetection& config, size_t population, Instant now, Random& random,
                     StatSlab& slab);
  void eject(SharedEndpoint& endpoint, const Limit& limit, const config::OutlierDetection& config, size_t population,
             Instant now, Random& random, StatSlab& slab);
  size_t count_ejected(Instant now) const;  // this and the next with the mutex held
  void set_gauge(size_t ejected, StatSlab& slab);

  const std::string name_;
  StatRegistry& registry_;
  const std::string stat_name_;
  const ClusterStats stats_;
  std::array<BreakerCounts, 2> breakers_;
  std::atomic<uint64_t> generation_{1};
  mutable std::mutex mutex_;  // cold: endpoint creation and ejection
  std::unordered_map<Address, std::weak_ptr<SharedEndpoint>, AddressHash> endpoints_;
  size_t gauge_ = 0;      // what outlier_detection.ejections_active says
  size_t sweep_at_ = 64;  // size of the map at which dead entries are looked for
};

}  // namespace pillion::upstream
