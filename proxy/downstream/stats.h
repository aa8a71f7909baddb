// Ids of the counters of HTTP connection managers, allocated once per worker and stat_prefix. Envoy's names:
// http.PREFIX.<field>.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/stats.h"
#include "proxy/http/h2_flood_stats.h"

namespace pillion::downstream {

struct HttpStats {
  HttpStats(StatRegistry& registry, const std::string& stat_prefix);
  StatId downstream_cx_total, downstream_cx_active, downstream_cx_http1_total, downstream_cx_http1_active,
      downstream_cx_http2_total, downstream_cx_http2_active, downstream_cx_ssl_total, downstream_cx_ssl_active,
      downstream_cx_destroy, downstream_cx_destroy_local, downstream_cx_destroy_remote, downstream_cx_destroy_active_rq,
      downstream_cx_destroy_local_active_rq, downstream_cx_destroy_remote_active_rq, downstream_cx_drain_close,
      downstream_cx_idle_timeout, downstream_cx_max_duration_reached, downstream_cx_max_requests_reached,
      downstream_cx_delayed_close_timeout, downstream_cx_protocol_error, downstream_cx_upgrades_total,
      downstream_cx_upgrades_active, downstream_cx_rx_bytes_total, downstream_cx_tx_bytes_total,
      downstream_cx_length_ms, downstream_flow_control_paused_reading_total,
      downstream_flow_control_resumed_reading_total, downstream_rq_total, downstream_rq_active,
      downstream_rq_http1_total, downstream_rq_http2_total, downstream_rq_completed, downstream_rq_1xx,
      downstream_rq_2xx, downstream_rq_3xx, downstream_rq_4xx, downstream_rq_5xx, downstream_rq_time,
      downstream_rq_timeout, downstream_rq_header_timeout, downstream_rq_idle_timeout,
      downstream_rq_max_duration_reached, downstream_rq_rx_reset, downstream_rq_tx_reset, downstream_rq_too_large,
      downstream_rq_response_before_rq_complete, downstream_rq_ws_on_non_ws_route,
      downstream_rq_redirected_with_normalized_path, no_route, no_cluster, rq_direct_response, rq_redirect, rq_total,
      rq_reset_after_downstream_response_started;
  http::H2FloodStats floods;
};

// A worker's ids by stat_prefix; a connection looks its own up once.
class StatIdCache {
 public:
  const HttpStats& http(StatRegistry& registry, const std::string& stat_prefix);

 private:
  std::map<std::string, std::unique_ptr<HttpStats>, std::less<>> http_;
};

}  // namespace pillion::downstream
