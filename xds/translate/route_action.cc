#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>

#include "xds/translate/matchers.h"
#include "xds/translate/routes_parts.h"

namespace pillion::xds {

namespace route = envoy::config::route::v3;

// === retries ===

namespace {

constexpr Duration kBackoffBaseMin{1000};  // Envoy rounds a shorter one up
constexpr int kBackoffMaxTimes = 10;       // of the base, where the longest is not set

void set_backoff(Context& cx, const route::RetryPolicy& in, config::RetryPolicy& out) {
  if (!in.has_retry_back_off()) return;
  const auto at = cx.field("retry_back_off");
  PILLION_SET_DURATION(cx, in.retry_back_off(), base_interval, out.backoff_base);
  out.backoff_base = std::max(out.backoff_base, kBackoffBaseMin);
  out.backoff_max = out.backoff_base * kBackoffMaxTimes;
  if (!in.retry_back_off().has_max_interval()) return;
  PILLION_SET_DURATION(cx, in.retry_back_off(), max_interval, out.backoff_max);
  out.backoff_max = std::max(out.backoff_max, kBackoffBaseMin);
  if (out.backoff_max < out.backoff_base) cx.fail_at("max_interval", "must not be shorter than base_interval");
}

void set_host_predicates(Context& cx, const route::RetryPolicy& in, config::RetryPolicy& out) {
  const auto at = cx.field("retry_host_predicate");
  size_t i = 0;
  for (const auto& predicate : in.retry_host_predicate()) {
    const auto in_list = cx.index(i++);
    const auto in_config = cx.field("typed_config");
    const std::string type = content_type(predicate.typed_config());
    if (type != "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate") {
      cx.fail(type.empty() ? "must be set" : "the predicate " + type + " is not supported by Pillion");
    }
    out.previous_hosts = true;
  }
}

}  // namespace

config::RetryPolicy to_retry_policy(Context& cx, const route::RetryPolicy& in) {
  config::RetryPolicy out;
  out.on = config::parse_retry_on(in.retry_on(), nullptr);  // what Envoy does not know it passes over as well
  PILLION_SET_WRAPPER(in, num_retries, out.retries_max);
  PILLION_SET_DURATION(cx, in, per_try_timeout, out.per_try_timeout);
  PILLION_SET_DURATION(cx, in, per_try_idle_timeout, out.per_try_idle_timeout);
  for (const uint32_t code : in.retriable_status_codes()) {
    out.retriable_status_codes.push_back(static_cast<uint16_t>(code));
  }
  out.retriable_headers = to_header_matchers(cx, "retriable_headers", in.retriable_headers());
  out.retriable_request_headers = to_header_matchers(cx, "retriable_request_headers", in.retriable_request_headers());
  set_backoff(cx, in, out);
  set_host_predicates(cx, in, out);
  if (in.host_selection_retry_max_attempts() > 0) {
    out.host_selection_attempts =
        static_cast<uint32_t>(std::min<int64_t>(in.host_selection_retry_max_attempts(), UINT32_MAX));
  }
  return out;
}

// === where to ===

void check_cluster(Context& cx, std::string_view field, const std::string& name, bool validate) {
  const auto* clusters = cx.options().clusters;
  if (!validate || clusters == nullptr || clusters->contains(name)) return;
  cx.fail_at(field, "there is no cluster " + name);
}

config::MirrorPolicy to_mirror(Context& cx, const route::RouteAction_RequestMirrorPolicy& in, bool validate_clusters) {
  config::MirrorPolicy out;
  out.cluster = in.cluster();
  if (out.cluster.empty()) cx.fail_at("cluster", "must be set");
  check_cluster(cx, "cluster", out.cluster, validate_clusters && !out.cluster.empty());
  if (in.has_runtime_fraction()) {
    const auto fraction = to_fraction(in.runtime_fraction());
    out.fraction = {fraction.numerator, fraction.denominator};
  }
  return out;
}

namespace {

config::WeightedCluster to_weighted(Context& cx, const route::WeightedCluster::ClusterWeight& in, bool validate) {
  config::WeightedCluster out;
  out.cluster = in.name();
  out.weight = in.weight().value();
  out.host_rewrite = in.host_rewrite_literal();
  if (out.cluster.empty()) cx.fail_at("name", "must be set");
  check_cluster(cx, "name", out.cluster, validate && !out.cluster.empty());
  out.mutations = to_mutations(cx, in);
  out.per_filter = to_per_filter(cx, in.typed_per_filter_config());
  return out;
}

void set_weighted(Context& cx, const route::WeightedCluster& in, bool validate, config::RouteAction& out) {
  const auto at = cx.field("weighted_clusters");
  out.total_weight = 0;
  {
    const auto in_clusters = cx.field("clusters");
    for (const auto& item : in.clusters()) {
      const auto in_list = cx.index(out.clusters.size());
      out.clusters.push_back(to_weighted(cx, item, validate));
      out.total_weight += out.clusters.back().weight;
    }
  }
  if (out.total_weight == 0) cx.fail_at("clusters", "the sum of the weights must be greater than 0");
  if (out.total_weight > UINT32_MAX) cx.fail_at("clusters", "the sum of the weights does not fit 32 bits");
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (in.has_total_weight() && in.total_weight().value() != out.total_weight) {
    cx.fail_at("total_weight", "must be the sum of the weights, " + std::to_string(out.total_weight));
  }
#pragma GCC diagnostic pop
}

void set_target(Context& cx, const route::RouteAction& in, bool validate, config::RouteAction& out) {
  switch (in.cluster_specifier_case()) {
    case route::RouteAction::kCluster:
      out.clusters.emplace_back().cluster = in.cluster();
      check_cluster(cx, "cluster", in.cluster(), validate);
      break;
    case route::RouteAction::kClusterHeader: out.cluster_header = to_lower(in.cluster_header()); break;
    case route::RouteAction::kWeightedClusters: set_weighted(cx, in.weighted_clusters(), validate, out); break;
    default: break;  // refused as unknown
  }
  switch (in.cluster_not_found_response_code()) {
    case route::RouteAction::NOT_FOUND: out.cluster_not_found_status = 404; break;
    case route::RouteAction::INTERNAL_SERVER_ERROR: out.cluster_not_found_status = 500; break;
    default: out.cluster_not_found_status = 503;
  }
}

// === what is rewritten ===

void set_rewrites(Context& cx, const route::RouteAction& in, config::RouteAction& out) {
  if (!in.prefix_rewrite().empty()) out.prefix_rewrite = in.prefix_rewrite();
  out.path_rewrite = in.path_rewrite();
  if (in.has_regex_rewrite()) {
    const auto at = cx.field("regex_rewrite");
    out.regex_rewrite = to_rewrite(cx, in.regex_rewrite(), out.regex_substitution);
  }
  const int rewrites = !in.prefix_rewrite().empty() + in.has_regex_rewrite() + !in.path_rewrite().empty();
  if (rewrites > 1) cx.fail("only one of prefix_rewrite, regex_rewrite and path_rewrite may be set");
  switch (in.host_rewrite_specifier_case()) {
    case route::RouteAction::kHostRewriteLiteral: out.host_rewrite = in.host_rewrite_literal(); break;
    case route::RouteAction::kAutoHostRewrite: out.auto_host_rewrite = in.auto_host_rewrite().value(); break;
    case route::RouteAction::kHostRewriteHeader: out.host_rewrite_header = to_lower(in.host_rewrite_header()); break;
    case route::RouteAction::kHostRewritePathRegex: {
      const auto at = cx.field("host_rewrite_path_regex");
      out.host_rewrite_path_regex = to_rewrite(cx, in.host_rewrite_path_regex(), out.host_rewrite_path_substitution);
      break;
    }
    default: break;
  }
  out.append_x_forwarded_host = in.append_x_forwarded_host();
}

// === how long, by whom, what else ===

void set_times(Context& cx, const route::RouteAction& in, config::RouteAction& out) {
  PILLION_SET_DURATION(cx, in, timeout, out.timeout);
  PILLION_SET_DURATION(cx, in, idle_timeout, out.idle_timeout);
  if (!in.has_max_stream_duration()) return;
  const auto at = cx.field("max_stream_duration");
  PILLION_SET_DURATION(cx, in.max_stream_duration(), max_stream_duration, out.max_stream_duration);
  PILLION_SET_DURATION(cx, in.max_stream_duration(), grpc_timeout_header_max, out.grpc_timeout_header_max);
}

config::HashPolicy to_hash_policy(Context& cx, const route::RouteAction::HashPolicy& in) {
  using Kind = config::HashPolicy::Kind;
  config::HashPolicy out;
  out.terminal = in.terminal();
  if (in.has_header()) {
    out.kind = Kind::header;
    out.name = to_lower(in.header().header_name());
  } else if (in.has_cookie()) {
    const auto at = cx.field("cookie");
    out.kind = Kind::cookie;
    out.name = in.cookie().name();
    out.cookie_path = in.cookie().path();
    PILLION_SET_DURATION(cx, in.cookie(), ttl, out.cookie_ttl);
  } else if (in.has_query_parameter()) {
    out.kind = Kind::query_parameter;
    out.name = in.query_parameter().name();
  } else if (!in.connection_properties().source_ip()) {
    cx.fail_at("connection_properties", "source_ip must be true");
  }
  return out;
}

void set_upgrades(Context& cx, const route::RouteAction& in, config::RouteAction& out) {
  const auto at = cx.field("upgrade_configs");
  size_t i = 0;
  for (const auto& upgrade : in.upgrade_configs()) {
    const auto in_list = cx.index(i++);
    const bool enabled = !upgrade.has_enabled() || upgrade.enabled().value();
    const bool websocket = to_lower(upgrade.upgrade_type()) == "websocket";
    if (!websocket && enabled) cx.fail_at("upgrade_type", "only websocket is supported by Pillion per route");
    if (websocket) out.websocket = enabled;
  }
}

}  // namespace

config::RouteAction to_route_action(Context& cx, const route::Route& message, const RouteScope& scope) {
  const auto at = cx.field("route");
  const route::RouteAction& in = message.route();
  config::RouteAction out;
  set_target(cx, in, scope.validate_clusters, out);
  set_rewrites(cx, in, out);
  set_times(cx, in, out);
  if (in.has_retry_policy()) {
    const auto in_policy = cx.field("retry_policy");
    out.retry = to_retry_policy(cx, in.retry_policy());
  }
  {
    const auto in_hash = cx.field("hash_policy");
    for (const auto& policy : in.hash_policy()) {
      const auto in_list = cx.index(out.hash_policies.size());
      out.hash_policies.push_back(to_hash_policy(cx, policy));
    }
  }
  out.mirrors = to_mirrors(cx, in.request_mirror_policies(), scope.validate_clusters);
  if (out.mirrors.empty() && scope.mirrors != nullptr) out.mirrors = *scope.mirrors;
  set_upgrades(cx, in, out);
  out.priority = in.priority() == envoy::config::core::v3::HIGH ? 1 : 0;
  return out;
}

}  // namespace pillion::xds
