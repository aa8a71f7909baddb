#include "proxy/upstream/stats.h"

namespace pillion::upstream {
namespace {

struct Leaf {
  StatId ClusterStats::* id;
  const char* name;
  StatKind kind = StatKind::counter;
};

#define LEAF(name) {&ClusterStats::name, #name}
#define LEAF_OUTLIER(name) {&ClusterStats::outlier_##name, "outlier_detection." #name}
#define GAUGE(name) {&ClusterStats::name, #name, StatKind::gauge}

constexpr Leaf kLeaves[] = {
    LEAF(upstream_cx_total),
    GAUGE(upstream_cx_active),
    LEAF(upstream_cx_http1_total),
    LEAF(upstream_cx_http2_total),
    LEAF(upstream_cx_connect_fail),
    LEAF(upstream_cx_connect_timeout),
    LEAF(upstream_cx_idle_timeout),
    LEAF(upstream_cx_overflow),
    LEAF(upstream_cx_destroy),
    LEAF(upstream_cx_destroy_local),
    LEAF(upstream_cx_destroy_remote),
    LEAF(upstream_cx_destroy_with_active_rq),
    LEAF(upstream_cx_protocol_error),
    LEAF(upstream_cx_max_requests),
    LEAF(upstream_cx_max_duration_reached),
    LEAF(upstream_cx_pool_overflow),
    LEAF(upstream_cx_none_healthy),
    LEAF(upstream_cx_connect_attempts_exceeded),
    LEAF(upstream_cx_rx_bytes_total),
    LEAF(upstream_cx_tx_bytes_total),
    LEAF(upstream_rq_total),
    GAUGE(upstream_rq_active),
    LEAF(upstream_rq_pending_total),
    GAUGE(upstream_rq_pending_active),
    LEAF(upstream_rq_pending_overflow),
    LEAF(upstream_rq_active_overflow),
    LEAF(upstream_rq_pending_failure_eject),
    LEAF(upstream_rq_cancelled),
    LEAF(upstream_rq_timeout),
    LEAF(upstream_rq_per_try_timeout),
    LEAF(upstream_rq_per_try_idle_timeout),
    LEAF(upstream_rq_rx_reset),
    LEAF(upstream_rq_tx_reset),
    LEAF(upstream_rq_retry),
    LEAF(upstream_rq_retry_success),
    LEAF(upstream_rq_retry_overflow),
    LEAF(upstream_rq_retry_limit_exceeded),
    LEAF(upstream_rq_retry_backoff_exponential),
    LEAF(upstream_rq_completed),
    LEAF(upstream_rq_1xx),
    LEAF(upstream_rq_2xx),
    LEAF(upstream_rq_3xx),
    LEAF(upstream_rq_4xx),
    LEAF(upstream_rq_5xx),
    {&ClusterStats::upstream_rq_time, "upstream_rq_time", StatKind::histogram},
    LEAF(upstream_rq_safe_replay),
    LEAF(lb_healthy_panic),
    LEAF(membership_change),
    GAUGE(membership_total),
    GAUGE(membership_healthy),
    GAUGE(membership_degraded),
    GAUGE(membership_excluded),
    {&ClusterStats::outlier_ejections_active, "outlier_detection.ejections_active", StatKind::gauge},
    LEAF_OUTLIER(ejections_enforced_total),
    LEAF_OUTLIER(ejections_overflow),
    LEAF_OUTLIER(ejections_detected_consecutive_5xx),
    LEAF_OUTLIER(ejections_detected_consecutive_gateway_failure),
    LEAF_OUTLIER(ejections_detected_consecutive_local_origin_failure),
    LEAF_OUTLIER(ejections_enforced_consecutive_5xx),
    LEAF_OUTLIER(ejections_enforced_consecutive_gateway_failure),
    LEAF_OUTLIER(ejections_enforced_consecutive_local_origin_failure),
    LEAF(update_attempt),
    LEAF(update_success),
    LEAF(update_failure),
    LEAF(update_empty),
    LEAF(update_no_rebuild),
    {&ClusterStats::ssl_handshake, "ssl.handshake"},
    {&ClusterStats::ssl_connection_error, "ssl.connection_error"},
};

#undef LEAF
#undef LEAF_OUTLIER
#undef GAUGE

static_assert(sizeof(kLeaves) / sizeof(kLeaves[0]) ==
              (sizeof(ClusterStats) - sizeof(http::H2FloodStats)) / sizeof(StatId));

}  // namespace

ClusterStats::ClusterStats(StatRegistry& registry, const std::string& stat_name) : floods(registry) {
  const StatScope scope("cluster", "envoy_cluster_name", stat_name);
  for (const Leaf& leaf : kLeaves) {
    const StatName name = scope.name(leaf.name);
    switch (leaf.kind) {
      case StatKind::counter: this->*leaf.id = registry.counter(name); break;
      case StatKind::gauge: this->*leaf.id = registry.gauge(name); break;
      case StatKind::histogram: this->*leaf.id = registry.histogram(name); break;
    }
  }
}

}  // namespace pillion::upstream
