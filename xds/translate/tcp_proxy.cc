#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>

#include "xds/translate/parts.h"
#include "xds/translate/values.h"

namespace pillion::xds {

namespace tcp = envoy::extensions::filters::network::tcp_proxy::v3;

config::TcpProxy to_tcp_proxy(Context& cx, const tcp::TcpProxy& in) {
  config::TcpProxy out;
  out.stat_prefix = in.stat_prefix();
  if (in.has_weighted_clusters()) {
    out.total_weight = 0;
    for (const auto& cluster : in.weighted_clusters().clusters()) {
      out.clusters.push_back({.cluster = cluster.name(), .weight = cluster.weight()});
      out.total_weight += cluster.weight();
    }
    if (out.total_weight == 0) cx.fail_at("weighted_clusters", "the sum of the weights must be greater than 0");
  } else {
    out.clusters.push_back({.cluster = in.cluster()});
    if (in.cluster().empty()) cx.fail_at("cluster", "must be set");
  }
  PILLION_SET_DURATION(cx, in, idle_timeout, out.idle_timeout);
  PILLION_SET_DURATION(cx, in, max_downstream_connection_duration, out.max_connection_duration);
  PILLION_SET_WRAPPER(in, max_connect_attempts, out.connect_attempts_max);
  for (int i = 0; i < in.hash_policy_size(); ++i) out.hash_policies.emplace_back();  // source_ip is all it may be
  out.access_logs = to_access_logs(cx, "access_log", in.access_log());
  return out;
}

}  // namespace pillion::xds
