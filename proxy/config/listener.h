// envoy.config.listener.v3, HttpConnectionManager and TcpProxy as compact immutable values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/config/h2_limits.h"
#include "proxy/config/route.h"
#include "proxy/config/tls.h"

namespace pillion::config {

struct AccessLogFilter {
  enum class Kind : uint8_t { status_code, duration, response_flag, not_health_check, header, and_, or_ };
  enum class Op : uint8_t { eq, ge, le, ne };
  Kind kind = Kind::status_code;
  Op op = Op::ge;
  uint32_t value = 0;
  std::vector<std::string> flags;
  std::optional<HeaderMatcher> header;
  std::vector<AccessLogFilter> children;
};

struct AccessLog {
  std::string path;  // "/dev/stdout", "/dev/stderr" or a file
  std::optional<Format> text;
  std::optional<JsonFormat> json;
  bool omit_empty = false;  // omit_empty_values: no key in JSON, nothing instead of "-" in text
  std::optional<AccessLogFilter> filter;
};

struct HttpFilterEntry {
  std::string name;  // the name in the HCM: the key of per-route configuration
  std::string type;  // short name of the filter's type, e.g. "envoy.filters.http.fault"
  std::shared_ptr<const FilterConfig> config;
  bool disabled = false;
};

struct HttpConnectionManager {
  enum class CodecType : uint8_t { automatic, http1, http2 };
  enum class ForwardClientCert : uint8_t { sanitize, forward_only, append_forward, sanitize_set, always_forward_only };
  enum class ServerHeader : uint8_t { overwrite, append_if_absent, pass_through };
  enum class EscapedSlashes : uint8_t { keep, reject, unescape_redirect, unescape_forward };
  enum class Underscores : uint8_t { allow, reject_request, drop_header };

  std::string stat_prefix;
  CodecType codec = CodecType::automatic;
  std::shared_ptr<const RouteConfiguration> routes;  // inline
  std::string rds_name;                              // or by name in Snapshot::routes
  Duration rds_fetch_timeout{15'000'000};            // after which the listener serves without them; zero: never
  std::vector<HttpFilterEntry> filters;              // in order; the router is not among them
  std::vector<AccessLog> access_logs;
  // addresses and identity
  bool use_remote_address = false;
  uint32_t xff_trusted_hops = 0;
  bool skip_xff_append = false;
  std::string via;
  ForwardClientCert forward_client_cert = ForwardClientCert::sanitize;
  bool xfcc_subject = false, xfcc_cert = false, xfcc_chain = false, xfcc_dns = false, xfcc_uri = false;
  std::vector<Cidr> internal_addresses;  // internal_address_config; empty: RFC 1918 is NOT trusted here
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool always_set_request_id_in_response = false;
  std::string server_name = "envoy";
  ServerHeader server_header = ServerHeader::overwrite;
  // paths
  bool normalize_path = false;
  bool merge_slashes = false;
  EscapedSlashes escaped_slashes = EscapedSlashes::keep;
  bool strip_matching_host_port = false;
  bool strip_any_host_port = false;
  bool strip_trailing_host_dot = false;
  // times; zero = none
  Duration idle_timeout{3'600'000'000};  // of the connection, without streams
  Duration stream_idle_timeout{300'000'000};
  Duration request_timeout{};
  Duration request_headers_timeout{};
  Duration max_connection_duration{};
  Duration max_stream_duration{};
  Duration drain_timeout{5'000'000};
  Duration delayed_close_timeout{1'000'000};
  uint32_t max_requests_per_connection = 0;
  // limits
  uint32_t request_head_bytes_max = 60 * 1024;
  uint32_t request_headers_max = 100;
  uint32_t h2_concurrent_streams_max = 1024;
  uint32_t h2_stream_window_bytes = 256 * 1024;
  uint32_t h2_connection_window_bytes = 1024 * 1024;
  H2Limits h2_limits;
  bool h2_allow_connect = false;  // extended CONNECT (RFC 8441) is offered
  bool accept_http10 = true;
  bool h1_trailers = false;  // http_protocol_options.enable_trailers: without it, trailers of a request are dropped
  Underscores headers_with_underscores = Underscores::allow;
  std::vector<std::string> upgrades;  // enabled upgrade types, lower case: "websocket", "connect"
  bool add_user_agent = false;
  bool suppress_envoy_headers = false;  // of the router: no x-envoy-* of our own in either direction
};

struct TcpProxy {
  std::string stat_prefix;
  std::vector<WeightedCluster> clusters;
  uint64_t total_weight = 1;
  Duration idle_timeout{3'600'000'000};
  Duration max_connection_duration{};
  uint32_t connect_attempts_max = 1;
  std::vector<HashPolicy> hash_policies;
  std::vector<AccessLog> access_logs;
};

struct FilterChainMatch {
  enum class SourceType : uint8_t { any, same_ip_or_loopback, external };
  std::optional<uint16_t> destination_port;
  std::vector<Cidr> prefix_ranges;
  std::vector<std::string> server_names;  // lower case; "*.x" wildcards
  std::string transport_protocol;         // "tls", "raw_buffer" or ""
  std::vector<std::string> application_protocols;
  SourceType source_type = SourceType::any;
  std::vector<Cidr> direct_source_prefix_ranges;
  std::vector<Cidr> source_prefix_ranges;
  std::vector<uint16_t> source_ports;
};

struct NetworkFilterEntry {
  std::string name;
  std::string type;
  std::shared_ptr<const FilterConfig> config;
};

struct FilterChain {
  std::string name;
  FilterChainMatch match;
  std::shared_ptr<const TlsContext> tls;            // null: plain text
  std::vector<NetworkFilterEntry> network_filters;  // before the terminal one
  std::variant<HttpConnectionManager, TcpProxy> terminal;
  Duration handshake_timeout{};  // transport_socket_connect_timeout; zero = 15 s
};

struct Listener {
  enum class Direction : uint8_t { unspecified, inbound, outbound };
  std::string name;
  std::vector<Address> addresses;  // the address and additional_addresses
  bool bind_to_port = true;
  bool use_original_dst = false;  // hand a captured connection to the listener of its destination
  // listener filters
  bool original_dst = false;
  bool tls_inspector = false;
  bool http_inspector = false;
  bool proxy_protocol = false;
  Duration listener_filters_timeout{15'000'000};
  bool continue_on_listener_filters_timeout = false;
  std::vector<FilterChain> chains;
  std::optional<FilterChain> default_chain;
  Direction direction = Direction::unspecified;
  bool transparent = false;
  bool reuse_port = true;
  uint32_t backlog = 0;          // 0 = the system's
  uint32_t connections_max = 0;  // 0 = none
  std::vector<AccessLog> access_logs;
  uint64_t hash = 0;  // of the resource: equal hashes are equal listeners
};

}  // namespace pillion::config
