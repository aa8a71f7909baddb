// Load balancing, circuit breakers and outlier detection of a cluster.
#include <envoy/config/cluster/v3/circuit_breaker.pb.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/cluster/v3/outlier_detection.pb.h>
#include <envoy/extensions/load_balancing_policies/common/v3/common.pb.h>
#include <envoy/extensions/load_balancing_policies/least_request/v3/least_request.pb.h>
#include <envoy/extensions/load_balancing_policies/random/v3/random.pb.h>
#include <envoy/extensions/load_balancing_policies/round_robin/v3/round_robin.pb.h>
#include <envoy/extensions/load_balancing_policies/wrr_locality/v3/wrr_locality.pb.h>

#include "xds/translate/cluster_parts.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // enable_full_scan is refused

namespace pillion::xds {

namespace cluster = envoy::config::cluster::v3;
namespace lb = envoy::extensions::load_balancing_policies;
using config::Cluster;

// === load balancing ===

namespace {

constexpr std::string_view kPolicies = "envoy.extensions.load_balancing_policies.";

void set_localities(const lb::common::v3::LocalityLbConfig& in, Cluster& out) {
  if (in.has_locality_weighted_lb_config()) out.locality_weighted = true;
  if (in.has_zone_aware_lb_config()) out.fail_traffic_on_panic = in.zone_aware_lb_config().fail_traffic_on_panic();
}

bool set_policy(Context& cx, const google::protobuf::Any& any, Cluster& out, bool nested);

// The first policy that is known holds, as Envoy's API has it for a list that is made for several programs.
void set_policies(Context& cx, const cluster::LoadBalancingPolicy& in, Cluster& out, bool nested) {
  const auto at = cx.field("policies");
  int i = 0;
  for (const auto& policy : in.policies()) {
    const auto in_list = cx.index(static_cast<size_t>(i++));
    const auto in_extension = cx.field("typed_extension_config");
    const auto in_config = cx.field("typed_config");
    if (set_policy(cx, policy.typed_extension_config().typed_config(), out, nested)) return;
  }
  cx.fail(
      "none of the policies is supported by Pillion; it has round_robin, random, least_request, wrr_locality and "
      "cluster_provided");
}

void set_least_request(Context& cx, const lb::least_request::v3::LeastRequest& in, Cluster& out) {
  out.lb = Cluster::Lb::least_request;
  PILLION_SET_WRAPPER(in, choice_count, out.choice_count);
  cx.unsupported_if(in.enable_full_scan().value(), "enable_full_scan");
  set_localities(in.locality_lb_config(), out);
}

bool set_policy(Context& cx, const google::protobuf::Any& any, Cluster& out, bool nested) {
  const std::string type = content_type(any);
  if (!type.starts_with(kPolicies)) return false;
  const std::string_view name = std::string_view(type).substr(kPolicies.size());
  if (name == "round_robin.v3.RoundRobin") {
    out.lb = Cluster::Lb::round_robin;
    if (const auto in = unpack_any<lb::round_robin::v3::RoundRobin>(cx, any)) {
      set_localities(in->locality_lb_config(), out);
    }
  } else if (name == "random.v3.Random") {
    out.lb = Cluster::Lb::random;
    if (const auto in = unpack_any<lb::random::v3::Random>(cx, any)) set_localities(in->locality_lb_config(), out);
  } else if (name == "least_request.v3.LeastRequest") {
    if (const auto in = unpack_any<lb::least_request::v3::LeastRequest>(cx, any)) set_least_request(cx, *in, out);
  } else if (name == "cluster_provided.v3.ClusterProvided") {
    out.lb = Cluster::Lb::cluster_provided;
  } else if (name == "wrr_locality.v3.WrrLocality" && !nested) {
    out.locality_weighted = true;
    const auto at = cx.field("endpoint_picking_policy");
    if (const auto in = unpack_any<lb::wrr_locality::v3::WrrLocality>(cx, any)) {
      set_policies(cx, in->endpoint_picking_policy(), out, true);
    }
  } else {
    return false;
  }
  return true;
}

void set_old_policy(Context& cx, const cluster::Cluster& in, Cluster& out) {
  switch (in.lb_policy()) {
    case cluster::Cluster::ROUND_ROBIN: out.lb = Cluster::Lb::round_robin; break;
    case cluster::Cluster::LEAST_REQUEST:
      out.lb = Cluster::Lb::least_request;
      PILLION_SET_WRAPPER(in.least_request_lb_config(), choice_count, out.choice_count);
      break;
    case cluster::Cluster::RANDOM: out.lb = Cluster::Lb::random; break;
    case cluster::Cluster::CLUSTER_PROVIDED: out.lb = Cluster::Lb::cluster_provided; break;
    default: cx.fail_at("lb_policy", cluster::Cluster::LbPolicy_Name(in.lb_policy()) + " is not supported by Pillion");
  }
}

}  // namespace

void set_load_balancing(Context& cx, const cluster::Cluster& in, Cluster& out) {
  if (in.has_load_balancing_policy()) {
    const auto at = cx.field("load_balancing_policy");
    set_policies(cx, in.load_balancing_policy(), out, false);
  } else {
    set_old_policy(cx, in, out);
  }
  const bool provided = out.lb == Cluster::Lb::cluster_provided;
  if (provided != (out.type == Cluster::Type::original_dst) && !cx.failed()) {
    cx.fail_at("lb_policy", "CLUSTER_PROVIDED and the type ORIGINAL_DST belong together");
  }
  const auto& common = in.common_lb_config();
  if (common.has_healthy_panic_threshold()) {
    out.panic_threshold_percent = to_percent(common.healthy_panic_threshold());
  }
  if (common.zone_aware_lb_config().fail_traffic_on_panic()) out.fail_traffic_on_panic = true;
  if (common.has_locality_weighted_lb_config()) out.locality_weighted = true;
  out.ignore_new_hosts_until_first_hc = common.ignore_new_hosts_until_first_hc();
}

// === circuit breakers ===

void set_breakers(Context&, const cluster::Cluster& in, Cluster& out) {
  bool is_set[2] = {};
  for (const auto& threshold : in.circuit_breakers().thresholds()) {
    const size_t priority = threshold.priority() == envoy::config::core::v3::HIGH ? 1 : 0;
    if (is_set[priority]) continue;  // the first of a priority holds
    is_set[priority] = true;
    config::CircuitBreaker& breaker = out.breakers[priority];
    PILLION_SET_WRAPPER(threshold, max_connections, breaker.connections_max);
    PILLION_SET_WRAPPER(threshold, max_pending_requests, breaker.pending_max);
    PILLION_SET_WRAPPER(threshold, max_requests, breaker.requests_max);
    PILLION_SET_WRAPPER(threshold, max_retries, breaker.retries_max);
    if (!threshold.has_retry_budget()) continue;
    constexpr double kPercentDefault = 20;
    const auto& budget = threshold.retry_budget();
    breaker.retry_budget_percent = budget.has_budget_percent() ? budget.budget_percent().value() : kPercentDefault;
    PILLION_SET_WRAPPER(budget, min_retry_concurrency, breaker.retry_concurrency_min);
  }
}

// === outlier detection ===

namespace {

// Criteria that are not there may be switched off, and no more.
void refuse_other_criteria(Context& cx, const cluster::OutlierDetection& in) {
  cx.unsupported_if(in.enforcing_success_rate().value() > 0, "enforcing_success_rate");
  cx.unsupported_if(in.enforcing_local_origin_success_rate().value() > 0, "enforcing_local_origin_success_rate");
  cx.unsupported_if(in.enforcing_failure_percentage().value() > 0, "enforcing_failure_percentage");
  cx.unsupported_if(in.enforcing_failure_percentage_local_origin().value() > 0,
                    "enforcing_failure_percentage_local_origin");
}

}  // namespace

void set_outlier(Context& cx, const cluster::Cluster& message, Cluster& cluster) {
  if (!message.has_outlier_detection()) return;
  const auto at = cx.field("outlier_detection");
  const cluster::OutlierDetection& in = message.outlier_detection();
  config::OutlierDetection& out = cluster.outlier.emplace();
  refuse_other_criteria(cx, in);
  PILLION_SET_WRAPPER(in, consecutive_5xx, out.consecutive_5xx);
  PILLION_SET_WRAPPER(in, enforcing_consecutive_5xx, out.enforcing_consecutive_5xx);
  PILLION_SET_WRAPPER(in, consecutive_gateway_failure, out.consecutive_gateway_failure);
  PILLION_SET_WRAPPER(in, enforcing_consecutive_gateway_failure, out.enforcing_consecutive_gateway_failure);
  PILLION_SET_WRAPPER(in, consecutive_local_origin_failure, out.consecutive_local_origin_failure);
  PILLION_SET_WRAPPER(in, enforcing_consecutive_local_origin_failure, out.enforcing_consecutive_local_origin_failure);
  out.split_external_local_origin_errors = in.split_external_local_origin_errors();
  PILLION_SET_DURATION(cx, in, interval, out.interval);
  PILLION_SET_DURATION(cx, in, base_ejection_time, out.base_ejection_time);
  PILLION_SET_DURATION(cx, in, max_ejection_time, out.max_ejection_time);
  // A base time beyond the longest raises it, as in Envoy.
  if (out.max_ejection_time < out.base_ejection_time) out.max_ejection_time = out.base_ejection_time;
  PILLION_SET_DURATION(cx, in, max_ejection_time_jitter, out.max_ejection_time_jitter);
  PILLION_SET_WRAPPER(in, max_ejection_percent, out.max_ejection_percent);
  PILLION_SET_WRAPPER(in, always_eject_one_host, out.always_eject_one_host);
}

}  // namespace pillion::xds
