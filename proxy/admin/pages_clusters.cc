// /clusters, as text and as envoy.admin.v3.Clusters. Beyond Envoy's: why an endpoint was ejected, and for how long.
#include <fmt/format.h>

#include <algorithm>

#include "proxy/admin/cluster_status.h"
#include "proxy/admin/json.h"
#include "proxy/admin/pages.h"

namespace pillion::admin {
namespace {

struct Count {
  const char* name;
  bool gauge;
  uint64_t value;
};

// In Envoy's order of the JSON page: counters, then gauges, each by name.
std::vector<Count> counts_of(const EndpointStatus& endpoint) {
  const auto value = [&endpoint](auto member) -> uint64_t {
    return endpoint.shared == nullptr ? 0 : ((*endpoint.shared).*member).load(std::memory_order_relaxed);
  };
  using Shared = upstream::SharedEndpoint;
  return {
      {"cx_connect_fail", false, value(&Shared::connect_fail_total)},
      {"cx_total", false, value(&Shared::connect_total)},
      {"rq_error", false, value(&Shared::error_total)},
      {"rq_success", false, value(&Shared::success_total)},
      {"rq_timeout", false, value(&Shared::timeout_total)},
      {"rq_total", false, value(&Shared::requests_total)},
      {"cx_active", true, value(&Shared::active_connections)},
      {"rq_active", true, value(&Shared::active_requests)},
  };
}

struct Health {
  bool ejected = false;
  bool failed_eds = false;
  bool degraded_eds = false;
  bool draining_eds = false;

  Health(const EndpointStatus& endpoint, Instant now)
      : ejected(endpoint.shared != nullptr && endpoint.shared->is_ejected(now)) {
    using config::HealthStatus;
    const HealthStatus status = endpoint.config.health;
    failed_eds = status == HealthStatus::unhealthy || status == HealthStatus::timeout;
    degraded_eds = status == HealthStatus::degraded;
    draining_eds = status == HealthStatus::draining;
  }
  std::string flags() const {
    std::string out;
    if (ejected) out += "/failed_outlier_check";
    if (failed_eds) out += "/failed_eds_health";
    if (degraded_eds) out += "/degraded_eds_health";
    if (draining_eds) out += "/eds_status_draining";
    return out.empty() ? "healthy" : out;
  }
  const char* eds_status() const {
    if (failed_eds) return "UNHEALTHY";
    if (degraded_eds) return "DEGRADED";
    return draining_eds ? "DRAINING" : "HEALTHY";
  }
};

struct Ejection {
  uint64_t total = 0;
  const char* reason = "";
  int64_t remaining_ms = 0;  // 0: it is over

  Ejection(const EndpointStatus& endpoint, Instant now) {
    if (endpoint.shared == nullptr) return;
    const upstream::SharedEndpoint& shared = *endpoint.shared;
    total = shared.ejections_total.load(std::memory_order_relaxed);
    reason = upstream::name_of(shared.last_reason.load(std::memory_order_relaxed));
    const int64_t left_us = shared.ejected_until_us.load(std::memory_order_relaxed) - now.time_since_epoch().count();
    remaining_ms = std::max<int64_t>(0, (left_us + 999) / 1000);
  }
};

struct Thresholds {
  const char* text_name;
  const char* json_name;  // null: the default is not spelled
  config::CircuitBreaker limits;
  uint32_t retries_max = 0;
};

std::array<Thresholds, 2> thresholds_of(const ClusterStatus& cluster) {
  std::array<Thresholds, 2> out{{{"default_priority", nullptr, {}}, {"high_priority", "HIGH", {}}}};
  const upstream::BreakerCounts none;
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].limits = cluster.config->breakers[i];
    const auto& counts = cluster.shared == nullptr ? none : cluster.shared->breakers()[i];
    out[i].retries_max = upstream::retries_allowed(out[i].limits, counts);
  }
  return out;
}

const std::string& observability_name(const config::Cluster& cluster) {
  return cluster.alt_stat_name.empty() ? cluster.name : cluster.alt_stat_name;
}

// The name of the service where it is not the cluster's.
std::string_view eds_service_name(const config::Cluster& cluster) {
  const bool other = cluster.type == config::Cluster::Type::eds && cluster.eds_name != cluster.name;
  return other ? std::string_view(cluster.eds_name) : std::string_view();
}

// === text ===

void write_endpoint(std::string& out, const std::string& cluster, const EndpointStatus& endpoint, Instant now) {
  const std::string start = cluster + "::" + endpoint.address.to_string() + "::";
  const auto line = [&out, &start](std::string_view name, const auto& value) {
    out += fmt::format("{}{}::{}\n", start, name, value);
  };
  std::vector<Count> counts = counts_of(endpoint);
  std::sort(counts.begin(), counts.end(),
            [](const Count& a, const Count& b) { return std::string_view(a.name) < std::string_view(b.name); });
  for (const Count& count : counts) line(count.name, count.value);
  line("hostname", *endpoint.config.hostname);
  line("health_flags", Health(endpoint, now).flags());
  line("weight", endpoint.config.weight);
  line("region", endpoint.locality.region);
  line("zone", endpoint.locality.zone);
  line("sub_zone", endpoint.locality.sub_zone);
  line("canary", false);
  line("priority", endpoint.priority);
  line("success_rate", -1);
  line("local_origin_success_rate", -1);
  const Ejection ejection(endpoint, now);
  if (ejection.total == 0) return;
  line("ejections_total", ejection.total);
  line("last_ejection_reason", ejection.reason);
  line("ejected_for_ms", ejection.remaining_ms);
}

void write_cluster(std::string& out, const ClusterStatus& cluster, Instant now) {
  const std::string& name = cluster.config->name;
  const auto line = [&out, &name](std::string_view key, const auto& value) {
    out += fmt::format("{}::{}::{}\n", name, key, value);
  };
  line("observability_name", observability_name(*cluster.config));
  if (cluster.config->outlier) {
    for (const char* key : {"success_rate_average", "success_rate_ejection_threshold",
                            "local_origin_success_rate_average", "local_origin_success_rate_ejection_threshold"}) {
      line(std::string("outlier::") + key, -1);  // ejections by success rate are not made
    }
  }
  for (const Thresholds& t : thresholds_of(cluster)) {
    const std::string start = std::string(t.text_name) + "::";
    line(start + "max_connections", t.limits.connections_max);
    line(start + "max_pending_requests", t.limits.pending_max);
    line(start + "max_requests", t.limits.requests_max);
    line(start + "max_retries", t.retries_max);
  }
  line("added_via_api", cluster.added_via_api);
  if (const auto service = eds_service_name(*cluster.config); !service.empty()) line("eds_service_name", service);
  for (const EndpointStatus& endpoint : cluster.endpoints) write_endpoint(out, name, endpoint, now);
}

// === JSON ===

void write_locality(JsonWriter& json, const config::Locality& locality) {
  json.key("locality").begin_object();
  if (!locality.region.empty()) json.field("region", locality.region);
  if (!locality.zone.empty()) json.field("zone", locality.zone);
  if (!locality.sub_zone.empty()) json.field("sub_zone", locality.sub_zone);
  json.end_object();
}

void write_endpoint(JsonWriter& json, const EndpointStatus& endpoint, Instant now) {
  json.begin_object().key("address");
  write_address(json, endpoint.address);
  json.key("stats").begin_array();
  for (const Count& count : counts_of(endpoint)) {
    json.begin_object();
    if (count.gauge) json.field("type", "GAUGE");
    if (count.value != 0) json.field("value", std::to_string(count.value));
    json.field("name", count.name).end_object();
  }
  json.end_array();
  const Health health(endpoint, now);
  json.key("health_status").begin_object();
  if (health.ejected) json.key("failed_outlier_check").boolean(true);
  json.field("eds_health_status", health.eds_status()).end_object();
  json.field("weight", endpoint.config.weight);
  if (!endpoint.config.hostname.empty()) json.field("hostname", *endpoint.config.hostname);
  if (endpoint.priority != 0) json.field("priority", endpoint.priority);
  write_locality(json, endpoint.locality);
  const Ejection ejection(endpoint, now);
  if (ejection.total != 0) {
    json.key("ejection").begin_object().field("total", ejection.total).field("last_reason", ejection.reason);
    json.field("remaining_ms", static_cast<uint64_t>(ejection.remaining_ms)).end_object();
  }
  json.end_object();
}

void write_cluster(JsonWriter& json, const ClusterStatus& cluster, Instant now) {
  json.begin_object().field("name", cluster.config->name);
  if (cluster.added_via_api) json.key("added_via_api").boolean(true);
  if (!cluster.endpoints.empty()) {
    json.key("host_statuses").begin_array();
    for (const EndpointStatus& endpoint : cluster.endpoints) write_endpoint(json, endpoint, now);
    json.end_array();
  }
  json.key("circuit_breakers").begin_object().key("thresholds").begin_array();
  for (const Thresholds& t : thresholds_of(cluster)) {
    json.begin_object();
    if (t.json_name != nullptr) json.field("priority", t.json_name);
    json.field("max_connections", t.limits.connections_max)
        .field("max_pending_requests", t.limits.pending_max)
        .field("max_requests", t.limits.requests_max)
        .field("max_retries", t.retries_max)
        .end_object();
  }
  json.end_array().end_object();
  json.field("observability_name", observability_name(*cluster.config));
  if (const auto service = eds_service_name(*cluster.config); !service.empty()) json.field("eds_service_name", service);
  json.end_object();
}

}  // namespace

rpc::HttpResponse clusters_page(Context& context, const PageRequest& request) {
  static const config::Table<config::Cluster> kNone;
  const auto& statics = context.options.bootstrap == nullptr ? kNone : context.options.bootstrap->clusters;
  const std::vector<ClusterStatus> clusters = cluster_statuses(context.server, statics);
  const Instant now = context.server.main_loop().now();
  if (request.query.get("format") != "json") {
    std::string out;
    for (const ClusterStatus& cluster : clusters) write_cluster(out, cluster, now);
    return text_page(std::move(out));
  }
  JsonWriter json;
  json.begin_object().key("cluster_statuses").begin_array();
  for (const ClusterStatus& cluster : clusters) write_cluster(json, cluster, now);
  json.end_array().end_object();
  return json_page(json.take());
}

}  // namespace pillion::admin
