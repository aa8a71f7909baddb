// envoy.config.route.v3 as compact immutable values. Durations: zero means none unless said otherwise.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/config/format.h"
#include "proxy/config/matcher.h"

namespace pillion::config {

// The compiled configuration of one filter, opaque to everybody but the filter. Immutable, shared by all workers.
class FilterConfig {
 public:
  virtual ~FilterConfig() = default;
};
// What one level of the routes says of one filter.
struct RouteFilterConfig {
  std::shared_ptr<const FilterConfig> config;  // null: disabled, or only enabled
  bool disabled = false;
};
using PerFilterConfig = std::map<std::string, RouteFilterConfig>;  // by the filter's name in the HCM

struct HeaderToAdd {
  enum class Action : uint8_t {
    append_if_exists_or_add,
    add_if_absent,
    overwrite_if_exists_or_add,
    overwrite_if_exists
  };
  std::string name;  // as spelled in the configuration
  Format value;
  Action action = Action::append_if_exists_or_add;
  bool keep_empty_value = false;
};

struct HeaderMutations {
  std::vector<HeaderToAdd> request_add;
  std::vector<std::string> request_remove;  // lower case
  std::vector<HeaderToAdd> response_add;
  std::vector<std::string> response_remove;
  bool empty() const {
    return request_add.empty() && request_remove.empty() && response_add.empty() && response_remove.empty();
  }
};

struct FractionalPercent {
  uint32_t numerator = 100;
  uint32_t denominator = 100;  // 100, 10'000 or 1'000'000
};

enum class RetryOn : uint32_t {
  server_error = 1 << 0,   // 5xx
  gateway_error = 1 << 1,  // 502, 503, 504
  reset = 1 << 2,
  connect_failure = 1 << 3,
  refused_stream = 1 << 4,
  retriable_4xx = 1 << 5,  // 409
  retriable_status_codes = 1 << 6,
  retriable_headers = 1 << 7,
  reset_before_request = 1 << 8,
  envoy_ratelimited = 1 << 9,
  grpc_cancelled = 1 << 16,
  grpc_deadline_exceeded = 1 << 17,
  grpc_internal = 1 << 18,
  grpc_resource_exhausted = 1 << 19,
  grpc_unavailable = 1 << 20,
};
// "5xx,reset" -> bits; names that are not known are returned in `unknown`.
uint32_t parse_retry_on(std::string_view list, std::vector<std::string>* unknown);

struct RetryPolicy {
  uint32_t on = 0;  // RetryOn bits
  std::vector<uint16_t> retriable_status_codes;
  std::vector<HeaderMatcher> retriable_headers;          // of the response
  std::vector<HeaderMatcher> retriable_request_headers;  // any one must match for a retry; empty: always
  uint32_t retries_max = 1;
  Duration per_try_timeout{};
  Duration per_try_idle_timeout{};
  Duration backoff_base{25'000};
  Duration backoff_max{250'000};
  bool previous_hosts = false;  // retry_host_predicate previous_hosts
  uint32_t host_selection_attempts = 1;
  bool has(RetryOn bit) const { return (on & static_cast<uint32_t>(bit)) != 0; }
};

struct WeightedCluster {
  std::string cluster;
  uint32_t weight = 1;
  HeaderMutations mutations;
  std::string host_rewrite;
  PerFilterConfig per_filter;
};

struct HashPolicy {
  enum class Kind : uint8_t { header, cookie, source_ip, query_parameter };
  Kind kind = Kind::source_ip;
  std::string name;
  bool terminal = false;
  Duration cookie_ttl{};
  std::string cookie_path;
};

struct MirrorPolicy {
  std::string cluster;
  FractionalPercent fraction;
};

struct RouteAction {
  std::vector<WeightedCluster> clusters;  // one or more, unless cluster_header
  uint64_t total_weight = 1;
  std::string cluster_header;
  uint16_t cluster_not_found_status = 503;
  std::optional<std::string> prefix_rewrite;  // replaces what the prefix or path matcher matched
  std::string path_rewrite;                   // replaces the whole path; the query stays
  std::shared_ptr<const Regex> regex_rewrite;
  std::string regex_substitution;
  std::string host_rewrite;  // host_rewrite_literal
  bool auto_host_rewrite = false;
  std::string host_rewrite_header;
  std::shared_ptr<const Regex> host_rewrite_path_regex;  // the host is the path with its matches replaced
  std::string host_rewrite_path_substitution;
  bool append_x_forwarded_host = false;
  // From the end of the request to the end of the response. It does not count where one of max_stream_duration's
  // fields (the next but one, and grpc_timeout_header_max) is set.
  Duration timeout{15'000'000};
  std::optional<Duration> idle_timeout;  // of the stream; overrides the connection manager's
  std::optional<Duration> max_stream_duration;
  std::optional<Duration> grpc_timeout_header_max;  // max_stream_duration's; zero: the header's value as it is
  std::optional<Duration> max_grpc_timeout;  // gRPC: grpc-timeout up to this replaces `timeout`; zero: without limit
  std::optional<RetryPolicy> retry;          // none: the virtual host's, if any
  std::vector<HashPolicy> hash_policies;
  std::vector<MirrorPolicy> mirrors;
  std::optional<bool> websocket;  // upgrade_configs of the route
  uint32_t priority = 0;          // RoutingPriority: 0 default, 1 high
};

struct RedirectAction {
  std::string host;
  std::optional<uint32_t> port;
  std::string scheme;
  bool https = false;
  std::string path;  // path_redirect; may carry a query
  std::optional<std::string> prefix_rewrite;
  std::shared_ptr<const Regex> regex_rewrite;
  std::string regex_substitution;
  uint16_t status = 301;
  bool strip_query = false;
};

struct DirectResponse {
  uint16_t status = 200;
  std::string body;
};

struct RouteMatch {
  PathMatcher path;
  std::vector<HeaderMatcher> headers;
  std::vector<QueryMatcher> query;
  bool grpc_only = false;
  std::optional<FractionalPercent> fraction;  // runtime_fraction's default
};

struct Route {
  std::string name;
  RouteMatch match;
  std::variant<RouteAction, RedirectAction, DirectResponse> action;
  HeaderMutations mutations;
  PerFilterConfig per_filter;
  std::string decorator;
  size_t index = 0;  // position in its virtual host: what an explanation names
};

struct VirtualHost {
  std::string name;
  std::vector<std::string> domains;  // lower case
  std::vector<Route> routes;         // first match wins
  HeaderMutations mutations;
  std::optional<RetryPolicy> retry;
  PerFilterConfig per_filter;
  bool require_tls = false;
  bool include_attempt_count_in_request = false;
  bool include_attempt_count_in_response = false;
};

struct RouteConfiguration {
  std::string name;
  std::vector<VirtualHost> virtual_hosts;
  HeaderMutations mutations;
  bool most_specific_mutations_last = false;  // most_specific_header_mutations_wins
  bool ignore_port_in_host = false;
  std::vector<std::string> internal_only_headers;  // lower case; taken off requests from outside
  PerFilterConfig per_filter;

  // The virtual host of an authority: exact, then the longest suffix wildcard (*.x), then the longest prefix wildcard
  // (x.*), then "*". Null where there is none.
  const VirtualHost* find(std::string_view authority) const;
  void
  build_index();  // called once, when the value is complete; fails on nothing (duplicates are translate's business)

 private:
  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>()(s); }
  };
  using Index = std::unordered_map<std::string, uint32_t, StringHash, std::equal_to<>>;
  Index exact_;
  std::map<size_t, Index, std::greater<>> suffix_;  // by length of what follows '*'
  std::map<size_t, Index, std::greater<>> prefix_;
  int32_t default_ = -1;
};

}  // namespace pillion::config
