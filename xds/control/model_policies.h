// TrafficPolicy and MeshPolicy, pillion.dev/v1alpha1. The initial values are the defaults of docs/policy.md.
#pragma once

#include "xds/control/model_core.h"

namespace pillion::xds::control {

enum class LbPolicy : uint8_t { least_request, round_robin, random };

struct OutlierDetection {
  bool enabled = true;
  uint32_t consecutive_5xx = 5;
  uint32_t consecutive_gateway_errors = 5;
  uint32_t consecutive_local_errors = 3;
  Milliseconds interval{1000};
  Milliseconds base_ejection_time{5000};
  Milliseconds max_ejection_time{60000};
  uint32_t max_ejection_percent = 100;  // panic routing decides when too few are left
};

struct CircuitBreaker {
  uint32_t max_connections = 4096;
  uint32_t max_pending_requests = 4096;
  uint32_t max_requests = 16384;
};

struct RetryBudget {
  double percent = 20;  // of the active and pending requests
  uint32_t min_concurrent = 3;
};

struct Retries {
  uint32_t attempts = 2;
  std::vector<std::string> on;  // names of docs/policy.md; empty: the default, which never repeats what may have run
  std::vector<uint32_t> codes;
  std::optional<Milliseconds> per_try_timeout;
  std::optional<Milliseconds> backoff_base;
  std::optional<Milliseconds> backoff_max;
};

struct ConnectionPool {
  Milliseconds connect_timeout{2000};
  std::optional<Milliseconds> idle_timeout;
  std::optional<uint32_t> max_requests_per_connection;
  std::optional<uint32_t> max_concurrent_streams;
  std::optional<Milliseconds> tcp_keepalive_time;
  std::optional<Milliseconds> tcp_keepalive_interval;
  std::optional<uint32_t> tcp_keepalive_probes;
  bool upgrade_to_http2 = true;  // carry HTTP/1 over HTTP/2 between sidecars
};

struct Locality {
  bool prefer_same_zone = true;
  uint32_t overprovisioning_percent = 140;
  uint32_t panic_threshold_percent = 50;
};

struct TargetRef {
  std::string service;       // in the policy's namespace
  std::string section_name;  // a port's name; empty: every port
  Place at;
};

struct TrafficPolicy {
  Meta meta;
  std::vector<TargetRef> targets;
  LbPolicy lb = LbPolicy::least_request;
  uint32_t lb_choices = 2;
  Locality locality;
  OutlierDetection outlier;
  CircuitBreaker breaker;
  RetryBudget budget;
  Retries retries;
  ConnectionPool pool;
  std::optional<Milliseconds> request_timeout;
};

enum class MtlsMode : uint8_t { permissive, strict };

struct AccessLog {
  bool enabled = true;
  std::string path = "/dev/stdout";
  std::optional<std::string> text;                        // neither: the mesh's own line
  std::vector<std::pair<std::string, std::string>> json;  // key to format
};

struct MeshPolicy {
  Meta meta;
  std::optional<MtlsMode> mtls;
  std::optional<bool> egress_deny_unknown;
  std::optional<AccessLog> access_log;
};

// What MeshPolicy documents mean for one namespace, after defaults.
struct MeshSettings {
  MtlsMode mtls = MtlsMode::permissive;
  bool egress_deny_unknown = false;
  AccessLog access_log;
};

}  // namespace pillion::xds::control
