#include "proxy/downstream/stats.h"

namespace pillion::downstream {

HttpStats::HttpStats(StatRegistry& registry, const std::string& stat_prefix) : floods(registry) {
  const StatScope scope("http", "envoy_http_conn_manager_prefix", stat_prefix);
  downstream_cx_total = registry.counter(scope.name("downstream_cx_total"));
  downstream_cx_active = registry.gauge(scope.name("downstream_cx_active"));
  downstream_cx_http1_total = registry.counter(scope.name("downstream_cx_http1_total"));
  downstream_cx_http1_active = registry.gauge(scope.name("downstream_cx_http1_active"));
  downstream_cx_http2_total = registry.counter(scope.name("downstream_cx_http2_total"));
  downstream_cx_http2_active = registry.gauge(scope.name("downstream_cx_http2_active"));
  downstream_cx_ssl_total = registry.counter(scope.name("downstream_cx_ssl_total"));
  downstream_cx_ssl_active = registry.gauge(scope.name("downstream_cx_ssl_active"));
  downstream_cx_destroy = registry.counter(scope.name("downstream_cx_destroy"));
  downstream_cx_destroy_local = registry.counter(scope.name("downstream_cx_destroy_local"));
  downstream_cx_destroy_remote = registry.counter(scope.name("downstream_cx_destroy_remote"));
  downstream_cx_destroy_active_rq = registry.counter(scope.name("downstream_cx_destroy_active_rq"));
  downstream_cx_destroy_local_active_rq = registry.counter(scope.name("downstream_cx_destroy_local_active_rq"));
  downstream_cx_destroy_remote_active_rq = registry.counter(scope.name("downstream_cx_destroy_remote_active_rq"));
  downstream_cx_drain_close = registry.counter(scope.name("downstream_cx_drain_close"));
  downstream_cx_idle_timeout = registry.counter(scope.name("downstream_cx_idle_timeout"));
  downstream_cx_max_duration_reached = registry.counter(scope.name("downstream_cx_max_duration_reached"));
  downstream_cx_max_requests_reached = registry.counter(scope.name("downstream_cx_max_requests_reached"));
  downstream_cx_delayed_close_timeout = registry.counter(scope.name("downstream_cx_delayed_close_timeout"));
  downstream_cx_protocol_error = registry.counter(scope.name("downstream_cx_protocol_error"));
  downstream_cx_upgrades_total = registry.counter(scope.name("downstream_cx_upgrades_total"));
  downstream_cx_upgrades_active = registry.gauge(scope.name("downstream_cx_upgrades_active"));
  downstream_cx_rx_bytes_total = registry.counter(scope.name("downstream_cx_rx_bytes_total"));
  downstream_cx_tx_bytes_total = registry.counter(scope.name("downstream_cx_tx_bytes_total"));
  downstream_cx_length_ms = registry.histogram(scope.name("downstream_cx_length_ms"));
  downstream_flow_control_paused_reading_total =
      registry.counter(scope.name("downstream_flow_control_paused_reading_total"));
  downstream_flow_control_resumed_reading_total =
      registry.counter(scope.name("downstream_flow_control_resumed_reading_total"));
  downstream_rq_total = registry.counter(scope.name("downstream_rq_total"));
  downstream_rq_active = registry.gauge(scope.name("downstream_rq_active"));
  downstream_rq_http1_total = registry.counter(scope.name("downstream_rq_http1_total"));
  downstream_rq_http2_total = registry.counter(scope.name("downstream_rq_http2_total"));
  downstream_rq_completed = registry.counter(scope.name("downstream_rq_completed"));
  downstream_rq_1xx = registry.counter(scope.name("downstream_rq_1xx"));
  downstream_rq_2xx = registry.counter(scope.name("downstream_rq_2xx"));
  downstream_rq_3xx = registry.counter(scope.name("downstream_rq_3xx"));
  downstream_rq_4xx = registry.counter(scope.name("downstream_rq_4xx"));
  downstream_rq_5xx = registry.counter(scope.name("downstream_rq_5xx"));
  downstream_rq_time = registry.histogram(scope.name("downstream_rq_time"));
  downstream_rq_timeout = registry.counter(scope.name("downstream_rq_timeout"));
  downstream_rq_header_timeout = registry.counter(scope.name("downstream_rq_header_timeout"));
  downstream_rq_idle_timeout = registry.counter(scope.name("downstream_rq_idle_timeout"));
  downstream_rq_max_duration_reached = registry.counter(scope.name("downstream_rq_max_duration_reached"));
  downstream_rq_rx_reset = registry.counter(scope.name("downstream_rq_rx_reset"));
  downstream_rq_tx_reset = registry.counter(scope.name("downstream_rq_tx_reset"));
  downstream_rq_too_large = registry.counter(scope.name("downstream_rq_too_large"));
  downstream_rq_response_before_rq_complete = registry.counter(scope.name("downstream_rq_response_before_rq_complete"));
  downstream_rq_ws_on_non_ws_route = registry.counter(scope.name("downstream_rq_ws_on_non_ws_route"));
  downstream_rq_redirected_with_normalized_path =
      registry.counter(scope.name("downstream_rq_redirected_with_normalized_path"));
  no_route = registry.counter(scope.name("no_route"));
  no_cluster = registry.counter(scope.name("no_cluster"));
  rq_direct_response = registry.counter(scope.name("rq_direct_response"));
  rq_redirect = registry.counter(scope.name("rq_redirect"));
  rq_total = registry.counter(scope.name("rq_total"));
  rq_reset_after_downstream_response_started =
      registry.counter(scope.name("rq_reset_after_downstream_response_started"));
}

const HttpStats& StatIdCache::http(StatRegistry& registry, const std::string& stat_prefix) {
  std::unique_ptr<HttpStats>& entry = http_[stat_prefix];
  if (entry == nullptr) entry = std::make_unique<HttpStats>(registry, stat_prefix);
  return *entry;
}

}  // namespace pillion::downstream
