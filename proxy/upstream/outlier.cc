// Outlier detection: what SharedCluster makes of the outcomes that workers report. Formulas as Envoy has them, except
// that an ejection ends at its exact time and not at the next interval.
#include <algorithm>

#include "proxy/base/log.h"
#include "proxy/upstream/shared.h"

namespace pillion::upstream {
namespace {

// The HTTP status that a gRPC status counts as.
uint16_t http_status_of_grpc(int grpc) {
  switch (grpc) {
    case 0: return 200;
    case 1: return 499;
    case 3:
    case 9:
    case 11: return 400;
    case 4: return 504;
    case 5: return 404;
    case 6:
    case 10: return 409;
    case 7: return 403;
    case 8: return 429;
    case 12: return 501;
    case 14: return 503;
    case 16: return 401;
    default: return 500;
  }
}

// What an outcome counts as where local failures are not told apart from answers. 0: it says nothing.
uint16_t status_of(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::response:
      return outcome.grpc_status >= 0 ? http_status_of_grpc(outcome.grpc_status) : outcome.status;
    case Outcome::Kind::connected: return 0;
    case Outcome::Kind::connected_tcp: return 200;
    case Outcome::Kind::timeout: return 504;
    case Outcome::Kind::connect_failed:
    case Outcome::Kind::reset: return 503;
  }
  return 0;
}

bool is_answer(Outcome::Kind kind) {
  return kind == Outcome::Kind::response;
}
bool is_connect(Outcome::Kind kind) {
  return kind == Outcome::Kind::connected || kind == Outcome::Kind::connected_tcp;
}

// Most answers are good: no store where nothing changes, so that the line stays shared among the workers' caches.
void clear(std::atomic<uint32_t>& count) {
  if (count.load(std::memory_order_relaxed) != 0) count.store(0, std::memory_order_relaxed);
}

}  // namespace

struct SharedCluster::Limit {
  EjectionReason reason;
  uint32_t consecutive;
  uint32_t enforcing_percent;
  StatId detected;
  StatId enforced;
};

void SharedCluster::report(SharedEndpoint& e, const Outcome& outcome, const config::OutlierDetection& config,
                           size_t population, Instant now, Random& random, StatSlab& slab) {
  if (config.split_external_local_origin_errors && !is_answer(outcome.kind)) {
    if (is_connect(outcome.kind)) return clear(e.consecutive_local_origin);
    const Limit limit{EjectionReason::consecutive_local_origin, config.consecutive_local_origin_failure,
                      config.enforcing_consecutive_local_origin_failure,
                      stats_.outlier_ejections_detected_consecutive_local_origin_failure,
                      stats_.outlier_ejections_enforced_consecutive_local_origin_failure};
    return count_failure(e, e.consecutive_local_origin, limit, config, population, now, random, slab);
  }
  const uint16_t status = status_of(outcome);
  if (status == 0) return;
  if (status < 500) {
    clear(e.consecutive_5xx);
    clear(e.consecutive_gateway);
    return;
  }
  if (status >= 502 && status <= 504) {
    const Limit limit{EjectionReason::consecutive_gateway_failure, config.consecutive_gateway_failure,
                      config.enforcing_consecutive_gateway_failure,
                      stats_.outlier_ejections_detected_consecutive_gateway_failure,
                      stats_.outlier_ejections_enforced_consecutive_gateway_failure};
    count_failure(e, e.consecutive_gateway, limit, config, population, now, random, slab);
  } else {
    clear(e.consecutive_gateway);
  }
  const Limit limit{EjectionReason::consecutive_5xx, config.consecutive_5xx, config.enforcing_consecutive_5xx,
                    stats_.outlier_ejections_detected_consecutive_5xx,
                    stats_.outlier_ejections_enforced_consecutive_5xx};
  count_failure(e, e.consecutive_5xx, limit, config, population, now, random, slab);
}

void SharedCluster::count_failure(SharedEndpoint& e, std::atomic<uint32_t>& count, const Limit& limit,
                                  const config::OutlierDetection& config, size_t population, Instant now,
                                  Random& random, StatSlab& slab) {
  const uint32_t n = count.fetch_add(1, std::memory_order_relaxed) + 1;
  if (limit.consecutive == 0 || n < limit.consecutive || e.is_ejected(now)) return;
  const std::lock_guard lock(mutex_);
  // Another worker may have been here first.
  if (count.load(std::memory_order_relaxed) < limit.consecutive || e.is_ejected(now)) return;
  count.store(0, std::memory_order_relaxed);
  slab.add(limit.detected);
  eject(e, limit, config, population, now, random, slab);
}

void SharedCluster::eject(SharedEndpoint& e, const Limit& limit, const config::OutlierDetection& config,
                          size_t population, Instant now, Random& random, StatSlab& slab) {
  const size_t ejected = count_ejected(now);
  const bool fits = population > 0 && 100 * (ejected + 1) <= std::min(config.max_ejection_percent, 100u) * population;
  if (!fits && !(config.always_eject_one_host && ejected == 0)) return slab.add(stats_.outlier_ejections_overflow);
  if (random.below(100) >= limit.enforcing_percent) return;

  const int64_t now_us = now.time_since_epoch().count();
  const int64_t base = std::max<int64_t>(config.base_ejection_time.count(), 1);
  const int64_t max = std::max(config.max_ejection_time.count(), base);
  // The multiplier falls by one for each interval that the endpoint has been well since it came back.
  const int64_t back_us = e.ejected_until_us.load(std::memory_order_relaxed);
  const int64_t well = back_us > 0 && config.interval.count() > 0 ? (now_us - back_us) / config.interval.count() : 0;
  const int64_t before = std::max<int64_t>(e.ejections.load(std::memory_order_relaxed) - std::max<int64_t>(well, 0), 0);
  const int64_t multiplier = before * base < max + base ? before + 1 : before;
  int64_t lasts = std::min(base * multiplier, max);
  if (const int64_t jitter = config.max_ejection_time_jitter.count(); jitter > 0) {
    lasts += static_cast<int64_t>(random.below(static_cast<uint64_t>(jitter)));
  }
  e.ejections.store(static_cast<uint32_t>(multiplier), std::memory_order_relaxed);
  e.last_ejection_us.store(now_us, std::memory_order_relaxed);
  e.last_reason.store(limit.reason, std::memory_order_relaxed);
  e.ejections_total.fetch_add(1, std::memory_order_relaxed);
  e.ejected_until_us.store(now_us + lasts, std::memory_order_relaxed);
  set_gauge(ejected + 1, slab);
  slab.add(stats_.outlier_ejections_enforced_total);
  slab.add(limit.enforced);
  generation_.fetch_add(1, std::memory_order_release);
  PILLION_LOG_LIMITED(info, now, "cluster {}: endpoint {} is ejected for {} ms: {}", name_, e.address.to_string(),
                      lasts / 1000, name_of(limit.reason));
}

void SharedCluster::settle(Instant now, StatSlab& slab) {
  const std::lock_guard lock(mutex_);
  const size_t ejected = count_ejected(now);
  if (ejected == gauge_) return;
  set_gauge(ejected, slab);
  generation_.fetch_add(1, std::memory_order_release);
}

void SharedCluster::set_gauge(size_t ejected, StatSlab& slab) {
  if (ejected > gauge_) slab.add(stats_.outlier_ejections_active, ejected - gauge_);
  if (ejected < gauge_) slab.sub(stats_.outlier_ejections_active, gauge_ - ejected);
  gauge_ = ejected;
}

}  // namespace pillion::upstream
