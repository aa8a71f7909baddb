// Circuit breakers of one cluster (envoy.config.cluster.v3.CircuitBreakers), one set per routing priority, shared by
// all workers. Counts are relaxed atomics: with several workers a limit may be overshot by one each, as in Envoy.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "proxy/config/cluster.h"

namespace pillion::upstream {

struct BreakerCounts {
  std::atomic<uint32_t> connections{0};
  std::atomic<uint32_t> pending{0};
  std::atomic<uint32_t> requests{0};
  std::atomic<uint32_t> retries{0};
};

// One unit of a count, given back when dropped. Empty when the limit was reached.
class BreakerSlot {
 public:
  BreakerSlot() = default;
  static BreakerSlot take(std::atomic<uint32_t>& count, uint32_t max) {
    BreakerSlot slot;
    if (count.load(std::memory_order_relaxed) >= max) return slot;
    count.fetch_add(1, std::memory_order_relaxed);
    slot.count_ = &count;
    return slot;
  }
  // For what must not be refused, as the only connection to an endpoint that somebody waits for.
  static BreakerSlot take_over_limit(std::atomic<uint32_t>& count) { return take(count, UINT32_MAX); }
  BreakerSlot(BreakerSlot&& o) noexcept : count_(std::exchange(o.count_, nullptr)) {}
  BreakerSlot& operator=(BreakerSlot&& o) noexcept {
    if (this != &o) {
      release();
      count_ = std::exchange(o.count_, nullptr);
    }
    return *this;
  }
  ~BreakerSlot() { release(); }
  explicit operator bool() const { return count_ != nullptr; }
  void release() {
    if (count_ != nullptr) count_->fetch_sub(1, std::memory_order_relaxed);
    count_ = nullptr;
  }

 private:
  std::atomic<uint32_t>* count_ = nullptr;
};

// How many retries may run at once: max_retries, or the budget where one is set (algorithms.md "Retry budget"):
// max(budget% of (active + pending), min_retry_concurrency).
inline uint32_t retries_allowed(const config::CircuitBreaker& limits, const BreakerCounts& counts) {
  if (!limits.retry_budget_percent) return limits.retries_max;
  const double active =
      counts.requests.load(std::memory_order_relaxed) + counts.pending.load(std::memory_order_relaxed);
  const auto budget = static_cast<uint32_t>(active * *limits.retry_budget_percent / 100.0);
  return budget > limits.retry_concurrency_min ? budget : limits.retry_concurrency_min;
}

}  // namespace pillion::upstream
