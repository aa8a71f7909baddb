// Ids of tcp.<stat_prefix>.*, as Envoy names them.
#pragma once

#include <string>
#include <unordered_map>

#include "proxy/base/stats.h"

namespace pillion::downstream {

struct TunnelStats {
  TunnelStats(StatRegistry& registry, const std::string& prefix) {
    const StatScope scope("tcp", "envoy_tcp_prefix", prefix);
    downstream_cx_total = registry.counter(scope.name("downstream_cx_total"));
    downstream_cx_no_route = registry.counter(scope.name("downstream_cx_no_route"));
    downstream_cx_rx_bytes_total = registry.counter(scope.name("downstream_cx_rx_bytes_total"));
    downstream_cx_tx_bytes_total = registry.counter(scope.name("downstream_cx_tx_bytes_total"));
    downstream_flow_control_paused_reading_total =
        registry.counter(scope.name("downstream_flow_control_paused_reading_total"));
    downstream_flow_control_resumed_reading_total =
        registry.counter(scope.name("downstream_flow_control_resumed_reading_total"));
    idle_timeout = registry.counter(scope.name("idle_timeout"));
    max_downstream_connection_duration = registry.counter(scope.name("max_downstream_connection_duration"));
  }
  StatId downstream_cx_total, downstream_cx_no_route, downstream_cx_rx_bytes_total, downstream_cx_tx_bytes_total,
      downstream_flow_control_paused_reading_total, downstream_flow_control_resumed_reading_total, idle_timeout,
      max_downstream_connection_duration;
};

// One worker's, so that a connection does not look names up.
class TunnelStatsCache {
 public:
  const TunnelStats& of(StatRegistry& registry, const std::string& prefix) {
    const auto found = by_prefix_.find(prefix);
    if (found != by_prefix_.end()) return found->second;
    return by_prefix_.emplace(prefix, TunnelStats(registry, prefix)).first->second;
  }

 private:
  std::unordered_map<std::string, TunnelStats> by_prefix_;
};

}  // namespace pillion::downstream
