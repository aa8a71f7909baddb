// Ids of a cluster's counters, allocated once per cluster name. Envoy's names: cluster.NAME.<field>.
#pragma once

#include <string>

#include "proxy/base/stats.h"
#include "proxy/http/h2_flood_stats.h"

namespace pillion::upstream {

struct ClusterStats {
  ClusterStats(StatRegistry& registry, const std::string& stat_name);
  StatId upstream_cx_total, upstream_cx_active, upstream_cx_http1_total, upstream_cx_http2_total,
      upstream_cx_connect_fail, upstream_cx_connect_timeout, upstream_cx_idle_timeout, upstream_cx_overflow,
      upstream_cx_destroy, upstream_cx_destroy_local, upstream_cx_destroy_remote, upstream_cx_destroy_with_active_rq,
      upstream_cx_protocol_error, upstream_cx_max_requests, upstream_cx_max_duration_reached, upstream_cx_pool_overflow,
      upstream_cx_none_healthy, upstream_cx_connect_attempts_exceeded, upstream_cx_rx_bytes_total,
      upstream_cx_tx_bytes_total, upstream_rq_total, upstream_rq_active, upstream_rq_pending_total,
      upstream_rq_pending_active, upstream_rq_pending_overflow, upstream_rq_active_overflow,
      upstream_rq_pending_failure_eject, upstream_rq_cancelled, upstream_rq_timeout, upstream_rq_per_try_timeout,
      upstream_rq_per_try_idle_timeout, upstream_rq_rx_reset, upstream_rq_tx_reset, upstream_rq_retry,
      upstream_rq_retry_success, upstream_rq_retry_overflow, upstream_rq_retry_limit_exceeded,
      upstream_rq_retry_backoff_exponential, upstream_rq_completed, upstream_rq_1xx, upstream_rq_2xx, upstream_rq_3xx,
      upstream_rq_4xx, upstream_rq_5xx, upstream_rq_time, upstream_rq_safe_replay, lb_healthy_panic, membership_change,
      membership_total, membership_healthy, membership_degraded, membership_excluded, outlier_ejections_active,
      outlier_ejections_enforced_total, outlier_ejections_overflow, outlier_ejections_detected_consecutive_5xx,
      outlier_ejections_detected_consecutive_gateway_failure,
      outlier_ejections_detected_consecutive_local_origin_failure, outlier_ejections_enforced_consecutive_5xx,
      outlier_ejections_enforced_consecutive_gateway_failure,
      outlier_ejections_enforced_consecutive_local_origin_failure, update_attempt, update_success, update_failure,
      update_empty, update_no_rebuild, ssl_handshake, ssl_connection_error;
  http::H2FloodStats floods;
};

}  // namespace pillion::upstream
