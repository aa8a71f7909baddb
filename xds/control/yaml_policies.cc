// TrafficPolicy and MeshPolicy: Pillion's own kinds.
#include <algorithm>
#include <array>

#include "xds/api/nearest.h"
#include "xds/control/yaml_kinds.h"

namespace pillion::xds::control {

namespace {

constexpr uint32_t kMaxCount = 1'000'000;
constexpr uint32_t kMaxAttempts = 100;

void read_number(const YamlMap& map, std::string_view key, uint32_t lowest, uint32_t highest, uint32_t& out) {
  if (auto value = map.get(key)) out = value->number(lowest, highest).value_or(out);
}

void read_number(const YamlMap& map, std::string_view key, uint32_t lowest, uint32_t highest,
                 std::optional<uint32_t>& out) {
  if (auto value = map.get(key)) out = value->number(lowest, highest);
}

// Durations that are waited for or divided by: zero would mean never or always, so it is refused.
template <class Out>
void read_positive(const YamlMap& map, std::string_view key, Out& out) {
  const auto value = map.get(key);
  if (!value) return;
  const auto duration = value->duration();
  if (!duration) return;
  if (*duration == Milliseconds(0)) {
    value->fail("must be longer than nothing");
    return;
  }
  out = *duration;
}

TargetRef read_target(const YamlValue& value) {
  TargetRef out;
  out.at = value.place();
  const YamlMap map(value, {"group", "kind", "name", "sectionName"});
  check_service_ref(map);
  if (auto name = map.require("name")) {
    out.service = name->dns_name();
    out.at = name->place();
  }
  out.section_name = map.text("sectionName");
  return out;
}

void read_load_balancer(const YamlValue& value, TrafficPolicy& out) {
  const YamlMap map(value, {"policy", "choices"});
  if (auto policy = map.get("policy")) {
    out.lb = policy
                 ->one_of<LbPolicy>({{"LeastRequest", LbPolicy::least_request},
                                     {"RoundRobin", LbPolicy::round_robin},
                                     {"Random", LbPolicy::random}})
                 .value_or(out.lb);
  }
  read_number(map, "choices", 2, 100, out.lb_choices);
}

void read_locality(const YamlValue& value, Locality& out) {
  const YamlMap map(value, {"mode", "overprovisioningPercent", "panicThresholdPercent"});
  if (auto mode = map.get("mode")) {
    out.prefer_same_zone = mode->one_of<bool>({{"PreferSameZone", true}, {"None", false}}).value_or(true);
  }
  read_number(map, "overprovisioningPercent", 100, 1000, out.overprovisioning_percent);
  read_number(map, "panicThresholdPercent", 0, 100, out.panic_threshold_percent);
}

void read_outlier(const YamlValue& value, OutlierDetection& out) {
  const YamlMap map(value, {"enabled", "consecutive5xx", "consecutiveGatewayErrors", "consecutiveLocalErrors",
                            "interval", "baseEjectionTime", "maxEjectionTime", "maxEjectionPercent"});
  if (auto enabled = map.get("enabled")) out.enabled = enabled->boolean().value_or(true);
  read_number(map, "consecutive5xx", 0, kMaxCount, out.consecutive_5xx);
  read_number(map, "consecutiveGatewayErrors", 0, kMaxCount, out.consecutive_gateway_errors);
  read_number(map, "consecutiveLocalErrors", 0, kMaxCount, out.consecutive_local_errors);
  read_number(map, "maxEjectionPercent", 0, 100, out.max_ejection_percent);
  read_positive(map, "interval", out.interval);
  read_positive(map, "baseEjectionTime", out.base_ejection_time);
  out.max_ejection_time = std::max(out.max_ejection_time, out.base_ejection_time);
  read_positive(map, "maxEjectionTime", out.max_ejection_time);
  if (out.max_ejection_time < out.base_ejection_time) map.fail("maxEjectionTime is shorter than baseEjectionTime");
}

void read_breaker(const YamlValue& value, CircuitBreaker& out) {
  const YamlMap map(value, {"maxConnections", "maxPendingRequests", "maxRequests"});
  read_number(map, "maxConnections", 1, UINT32_MAX, out.max_connections);
  read_number(map, "maxPendingRequests", 1, UINT32_MAX, out.max_pending_requests);
  read_number(map, "maxRequests", 1, UINT32_MAX, out.max_requests);
}

// The conditions are Envoy's `retry_on` and `retry_grpc_on` names.
constexpr std::array<std::string_view, 13> kRetryConditions = {
    "connect-failure", "refused-stream",         "reset-before-request", "reset",     "5xx",
    "gateway-error",   "retriable-status-codes", "retriable-4xx",        "cancelled", "deadline-exceeded",
    "internal",        "resource-exhausted",     "unavailable"};

void read_retries(const YamlValue& value, Retries& out) {
  const YamlMap map(value, {"attempts", "on", "codes", "perTryTimeout", "backoff"});
  read_number(map, "attempts", 0, kMaxAttempts, out.attempts);
  if (auto on = map.get("on")) {
    for (const YamlValue& item : on->items()) {
      const std::string name = item.text();
      if (std::ranges::find(kRetryConditions, name) != kRetryConditions.end()) {
        out.on.push_back(name);
        continue;
      }
      const auto near = nearest(name, kRetryConditions);
      item.fail("is not a condition to retry on" + (near ? "; did you mean " + std::string(*near) + "?" : ""));
    }
  }
  if (auto codes = map.get("codes")) {
    for (const YamlValue& code : codes->items()) {
      if (auto number = code.number(400, 599)) out.codes.push_back(*number);
    }
  }
  read_positive(map, "perTryTimeout", out.per_try_timeout);
  if (auto backoff = map.get("backoff")) {
    const YamlMap fields(*backoff, {"base", "max"});
    read_positive(fields, "base", out.backoff_base);
    read_positive(fields, "max", out.backoff_max);
    if (out.backoff_max && !out.backoff_base) fields.fail("has a max, but no base");
    if (out.backoff_max && out.backoff_base && *out.backoff_max < *out.backoff_base)
      fields.fail("max is less than base");
  }
}

void read_pool(const YamlValue& value, ConnectionPool& out) {
  const YamlMap map(value, {"connectTimeout", "idleTimeout", "maxRequestsPerConnection", "maxConcurrentStreams",
                            "tcpKeepalive", "upgradeToHttp2"});
  read_positive(map, "connectTimeout", out.connect_timeout);
  read_positive(map, "idleTimeout", out.idle_timeout);
  read_number(map, "maxRequestsPerConnection", 1, UINT32_MAX, out.max_requests_per_connection);
  read_number(map, "maxConcurrentStreams", 1, INT32_MAX, out.max_concurrent_streams);
  if (auto upgrade = map.get("upgradeToHttp2")) out.upgrade_to_http2 = upgrade->boolean().value_or(true);
  if (auto keepalive = map.get("tcpKeepalive")) {
    const YamlMap fields(*keepalive, {"time", "interval", "probes"});
    read_positive(fields, "time", out.tcp_keepalive_time);
    read_positive(fields, "interval", out.tcp_keepalive_interval);
    read_number(fields, "probes", 1, 127, out.tcp_keepalive_probes);
  }
}

void read_budget(const YamlValue& value, RetryBudget& out) {
  const YamlMap map(value, {"percent", "minConcurrent"});
  if (auto percent = map.get("percent")) out.percent = percent->decimal(0, 100).value_or(out.percent);
  read_number(map, "minConcurrent", 0, kMaxCount, out.min_concurrent);
}

AccessLog read_access_log(const YamlValue& value) {
  AccessLog out;
  const YamlMap map(value, {"enabled", "path", "text", "json"});
  if (auto enabled = map.get("enabled")) out.enabled = enabled->boolean().value_or(true);
  if (auto path = map.get("path")) {
    out.path = path->text();
    if (!out.path.starts_with('/')) path->fail("must be an absolute path");
  }
  if (auto text = map.get("text")) {
    out.text = text->text();
    if (!out.text->ends_with('\n')) *out.text += '\n';
  }
  if (auto json = map.get("json")) {
    for (const auto& [key, format] : json->entries()) out.json.emplace_back(key, format.text());
    if (out.text) json->fail("text and json cannot both be given");
  }
  return out;
}

}  // namespace

TrafficPolicy read_traffic_policy(Meta meta, const YamlMap& top) {
  TrafficPolicy out;
  out.meta = std::move(meta);
  const auto spec_value = top.require("spec");
  if (!spec_value) return out;
  const YamlMap spec(*spec_value, {"targetRefs", "loadBalancer", "locality", "outlierDetection", "circuitBreaker",
                                   "retryBudget", "retries", "connectionPool", "timeouts"});
  if (auto targets = spec.require("targetRefs")) {
    for (const YamlValue& item : targets->items()) out.targets.push_back(read_target(item));
    if (out.targets.empty()) targets->fail("a policy without a target has no effect");
  }
  if (auto value = spec.get("loadBalancer")) read_load_balancer(*value, out);
  if (auto value = spec.get("locality")) read_locality(*value, out.locality);
  if (auto value = spec.get("outlierDetection")) read_outlier(*value, out.outlier);
  if (auto value = spec.get("circuitBreaker")) read_breaker(*value, out.breaker);
  if (auto value = spec.get("retryBudget")) read_budget(*value, out.budget);
  if (auto value = spec.get("retries")) read_retries(*value, out.retries);
  if (auto value = spec.get("connectionPool")) read_pool(*value, out.pool);
  if (auto value = spec.get("timeouts")) {
    const YamlMap timeouts(*value, {"request"});
    if (auto request = timeouts.get("request")) out.request_timeout = request->duration();
  }
  return out;
}

MeshPolicy read_mesh_policy(Meta meta, const YamlMap& top) {
  MeshPolicy out;
  out.meta = std::move(meta);
  const auto spec_value = top.require("spec");
  if (!spec_value) return out;
  const YamlMap spec(*spec_value, {"mtls", "egress", "accessLog"});
  if (auto value = spec.get("mtls")) {
    const YamlMap mtls(*value, {"mode"});
    if (auto mode = mtls.require("mode")) {
      out.mtls = mode->one_of<MtlsMode>({{"Strict", MtlsMode::strict}, {"Permissive", MtlsMode::permissive}});
    }
  }
  if (auto value = spec.get("egress")) {
    const YamlMap egress(*value, {"unknown"});
    if (auto unknown = egress.require("unknown")) {
      out.egress_deny_unknown = unknown->one_of<bool>({{"Allow", false}, {"Deny", true}});
    }
  }
  if (auto value = spec.get("accessLog")) out.access_log = read_access_log(*value);
  return out;
}

}  // namespace pillion::xds::control
