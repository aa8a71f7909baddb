// envoy.config.cluster.v3 and endpoint.v3 as compact immutable values.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/rare.h"
#include "proxy/base/time.h"
#include "proxy/config/h2_limits.h"
#include "proxy/config/tls.h"

namespace pillion::config {

enum class HealthStatus : uint8_t { unknown, healthy, unhealthy, draining, timeout, degraded };

struct Locality {
  std::string region, zone, sub_zone;
  friend bool operator==(const Locality&, const Locality&) = default;
};

// There may be a hundred thousand of them.
struct Endpoint {
  Address address;  // none where `hostname` must be resolved first
  Rare<std::string> hostname;
  uint32_t weight = 1;
  uint16_t port = 0;                                                // with hostname
  HealthStatus health = HealthStatus::unknown;                      // unknown counts as healthy
  Rare<std::map<std::string, std::string>> transport_socket_match;  // metadata of that name, scalars as text
};
static_assert(sizeof(Endpoint) <= 56);

struct LocalityEndpoints {
  Locality locality;
  uint32_t weight = 0;  // load_balancing_weight; 0 = unset
  uint32_t priority = 0;
  std::vector<Endpoint> endpoints;
};

// A ClusterLoadAssignment.
struct EndpointAssignment {
  std::string name;
  std::vector<LocalityEndpoints> localities;
  uint32_t overprovisioning_percent = 140;
  uint64_t hash = 0;
};

struct CircuitBreaker {
  uint32_t connections_max = 1024;
  uint32_t pending_max = 1024;
  uint32_t requests_max = 1024;
  uint32_t retries_max = 3;
  std::optional<double> retry_budget_percent;  // overrides retries_max
  uint32_t retry_concurrency_min = 3;
};

struct OutlierDetection {
  uint32_t consecutive_5xx = 5;
  uint32_t enforcing_consecutive_5xx = 100;
  uint32_t consecutive_gateway_failure = 5;
  uint32_t enforcing_consecutive_gateway_failure = 0;
  uint32_t consecutive_local_origin_failure = 5;
  uint32_t enforcing_consecutive_local_origin_failure = 100;
  bool split_external_local_origin_errors = false;
  Duration interval{10'000'000};
  Duration base_ejection_time{30'000'000};
  Duration max_ejection_time{300'000'000};
  Duration max_ejection_time_jitter{};
  uint32_t max_ejection_percent = 10;
  bool always_eject_one_host = false;
};

struct TransportSocketMatch {
  std::string name;
  std::map<std::string, std::string> match;  // all must be in the endpoint's metadata; empty matches any
  std::shared_ptr<const TlsContext> tls;     // null: raw_buffer
};

struct Cluster {
  enum class Type : uint8_t { static_, strict_dns, logical_dns, eds, original_dst };
  enum class Lb : uint8_t { round_robin, random, least_request, ring_hash, maglev, cluster_provided };
  enum class Protocol : uint8_t { http1, http2, automatic, downstream };  // automatic: by ALPN; downstream: as it came
  enum class DnsFamily : uint8_t { automatic, v4_only, v6_only, v4_preferred, all };

  std::string name;
  std::string alt_stat_name;
  Type type = Type::static_;
  std::string eds_name;                    // the service_name, or the cluster's
  Duration eds_fetch_timeout{15'000'000};  // after which the cluster is used without endpoints; zero: never
  std::shared_ptr<const EndpointAssignment> inline_endpoints;
  Lb lb = Lb::round_robin;
  uint32_t choice_count = 2;
  Duration connect_timeout{5'000'000};
  Protocol protocol = Protocol::http1;
  bool carries_http1 = false;  // another Pillion is offered kCarryAlpn: HTTP/1 multiplexed over HTTP/2
  // load balancing
  uint32_t panic_threshold_percent = 50;
  bool fail_traffic_on_panic = false;
  bool locality_weighted = false;
  bool ignore_new_hosts_until_first_hc = false;
  // DNS
  DnsFamily dns_family = DnsFamily::automatic;
  Duration dns_refresh{5'000'000};
  bool respect_dns_ttl = false;
  // ORIGINAL_DST
  bool original_dst_use_header = false;
  std::optional<uint16_t> original_dst_port_override;
  // connections
  std::shared_ptr<const TlsContext> tls;             // the transport socket; null = plain text
  std::vector<TransportSocketMatch> socket_matches;  // first match wins, then `tls`
  Address bind;
  std::vector<Address> extra_binds;  // used for an endpoint of another family than `bind`
  bool tcp_keepalive = false;
  uint32_t tcp_keepalive_probes = 0;  // 0 = the system's, as in the next two
  uint32_t tcp_keepalive_time_s = 0;
  uint32_t tcp_keepalive_interval_s = 0;
  Duration idle_timeout{3'600'000'000};  // of pooled connections without requests
  Duration max_connection_duration{};
  uint32_t max_requests_per_connection = 0;
  uint32_t h2_concurrent_streams_max = 1024;  // ours towards the endpoint; the peer's SETTINGS lower it
  uint32_t h2_stream_window_bytes = 256 * 1024;
  uint32_t h2_connection_window_bytes = 1024 * 1024;
  H2Limits h2_limits;
  Duration h2_keepalive_interval{};
  Duration h2_keepalive_timeout{};
  uint32_t response_head_bytes_max = 60 * 1024;
  uint32_t response_headers_max = 100;
  bool h1_trailers = false;  // enable_trailers: without it, trailers of a response are dropped
  bool auto_sni = false;
  bool auto_san_validation = false;
  bool close_connections_on_host_health_failure = false;
  std::array<CircuitBreaker, 2> breakers;  // default, high
  std::optional<OutlierDetection> outlier;
  uint64_t hash = 0;  // of the resource: keys the runtime together with the name
};

}  // namespace pillion::config
