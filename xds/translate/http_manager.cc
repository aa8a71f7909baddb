// The HTTP connection manager.
#include <envoy/config/core/v3/config_source.pb.h>
#include <envoy/config/core/v3/protocol.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>

#include "xds/translate/http_options.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;
namespace hcm = envoy::extensions::filters::network::http_connection_manager::v3;
using Manager = hcm::HttpConnectionManager;
using config::HttpConnectionManager;

namespace {

constexpr const char* kRouter = "envoy.extensions.filters.http.router.v3.Router";
constexpr const char* kUuid = "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig";

// === routes and filters ===

void set_routes(Context& cx, const Manager& in, HttpConnectionManager& out) {
  if (in.has_route_config()) {
    const auto at = cx.field("route_config");
    out.routes = to_route_configuration(cx, in.route_config());
  } else if (in.has_rds()) {
    const auto at = cx.field("rds");
    out.rds_name = in.rds().route_config_name();
    if (out.rds_name.empty()) cx.fail_at("route_config_name", "must be set");
    const auto in_source = cx.field("config_source");
    expect_ads(cx, in.rds().config_source());
    PILLION_SET_DURATION(cx, in.rds().config_source(), initial_fetch_timeout, out.rds_fetch_timeout);
  }
}

void set_router(Context& cx, const hcm::HttpFilter& filter, bool last, HttpConnectionManager& out) {
  const auto at = cx.field("typed_config");
  if (!last) cx.fail("the router must be the last filter");
  if (filter.disabled()) cx.fail("the router may not be disabled");
  const auto router = unpack_any<envoy::extensions::filters::http::router::v3::Router>(cx, filter.typed_config());
  if (router) out.suppress_envoy_headers = router->suppress_envoy_headers();
}

void set_filter(Context& cx, const hcm::HttpFilter& filter, bool last, HttpConnectionManager& out) {
  const std::string type = content_type(filter.typed_config());
  if (type == kRouter) return set_router(cx, filter, last, out);
  if (last) cx.fail("the last filter must be the router");
  const auto at = cx.field("typed_config");
  const FilterTable* filters = cx.options().filters;
  for (const FilterType& known : filters == nullptr ? std::vector<FilterType>() : filters->http) {
    if (known.config_type != type || known.compile == nullptr) continue;
    auto message = unpack_message(filter.typed_config(), cx.path());
    if (!message) return cx.add(std::move(message.error()));
    auto config = known.compile(**message, cx.path());
    if (!config) return cx.add(std::move(config.error()));
    out.filters.push_back({filter.name(), std::string(known.name), std::move(*config), filter.disabled()});
    return;
  }
  if (filter.is_optional()) return;
  cx.fail(type.empty() ? "must be set"
                       : "the HTTP filter " + filter.name() + " (" + type + ") is not supported by Pillion");
}

void set_filters(Context& cx, const Manager& in, HttpConnectionManager& out) {
  const auto at = cx.field("http_filters");
  for (int i = 0; i < in.http_filters_size(); ++i) {
    const auto in_list = cx.index(static_cast<size_t>(i));
    set_filter(cx, in.http_filters(i), i + 1 == in.http_filters_size(), out);
  }
}

// === addresses and identity ===

void set_client_cert(const Manager& in, HttpConnectionManager& out) {
  using To = HttpConnectionManager::ForwardClientCert;
  switch (in.forward_client_cert_details()) {
    case Manager::FORWARD_ONLY: out.forward_client_cert = To::forward_only; break;
    case Manager::APPEND_FORWARD: out.forward_client_cert = To::append_forward; break;
    case Manager::SANITIZE_SET: out.forward_client_cert = To::sanitize_set; break;
    case Manager::ALWAYS_FORWARD_ONLY: out.forward_client_cert = To::always_forward_only; break;
    default: out.forward_client_cert = To::sanitize;
  }
  const auto& details = in.set_current_client_cert_details();
  out.xfcc_subject = details.subject().value();
  out.xfcc_cert = details.cert();
  out.xfcc_chain = details.chain();
  out.xfcc_dns = details.dns();
  out.xfcc_uri = details.uri();
}

void set_identity(Context& cx, const Manager& in, HttpConnectionManager& out) {
  PILLION_SET_WRAPPER(in, use_remote_address, out.use_remote_address);
  out.xff_trusted_hops = in.xff_num_trusted_hops();
  out.skip_xff_append = in.skip_xff_append();
  out.via = in.via();
  set_client_cert(in, out);
  {
    const auto at = cx.field("internal_address_config");
    out.internal_addresses = to_cidrs(cx, "cidr_ranges", in.internal_address_config().cidr_ranges());
  }
  PILLION_SET_WRAPPER(in, generate_request_id, out.generate_request_id);
  out.preserve_external_request_id = in.preserve_external_request_id();
  out.always_set_request_id_in_response = in.always_set_request_id_in_response();
  PILLION_SET_WRAPPER(in, add_user_agent, out.add_user_agent);
  if (!in.server_name().empty()) out.server_name = in.server_name();
  using Server = HttpConnectionManager::ServerHeader;
  if (in.server_header_transformation() == Manager::APPEND_IF_ABSENT) out.server_header = Server::append_if_absent;
  if (in.server_header_transformation() == Manager::PASS_THROUGH) out.server_header = Server::pass_through;
  if (!in.has_request_id_extension()) return;
  const auto at = cx.field("request_id_extension");
  if (content_type(in.request_id_extension().typed_config()) != kUuid) {
    cx.fail_at("typed_config", "only " + std::string(kUuid) + " is supported by Pillion here");
  }
}

// === paths and hosts ===

void set_paths(const Manager& in, HttpConnectionManager& out) {
  using To = HttpConnectionManager::EscapedSlashes;
  PILLION_SET_WRAPPER(in, normalize_path, out.normalize_path);
  out.merge_slashes = in.merge_slashes();
  switch (in.path_with_escaped_slashes_action()) {
    case Manager::REJECT_REQUEST: out.escaped_slashes = To::reject; break;
    case Manager::UNESCAPE_AND_REDIRECT: out.escaped_slashes = To::unescape_redirect; break;
    case Manager::UNESCAPE_AND_FORWARD: out.escaped_slashes = To::unescape_forward; break;
    default: out.escaped_slashes = To::keep;
  }
  out.strip_matching_host_port = in.strip_matching_host_port();
  out.strip_any_host_port = in.strip_any_host_port();
  out.strip_trailing_host_dot = in.strip_trailing_host_dot();
}

// === times, limits, protocols ===

void set_times(Context& cx, const Manager& in, HttpConnectionManager& out) {
  PILLION_SET_DURATION(cx, in, stream_idle_timeout, out.stream_idle_timeout);
  PILLION_SET_DURATION(cx, in, request_timeout, out.request_timeout);
  PILLION_SET_DURATION(cx, in, request_headers_timeout, out.request_headers_timeout);
  PILLION_SET_DURATION(cx, in, drain_timeout, out.drain_timeout);
  PILLION_SET_DURATION(cx, in, delayed_close_timeout, out.delayed_close_timeout);
}

void set_common(Context& cx, const core::HttpProtocolOptions& in, HttpConnectionManager& out) {
  const auto at = cx.field("common_http_protocol_options");
  PILLION_SET_DURATION(cx, in, idle_timeout, out.idle_timeout);
  PILLION_SET_DURATION(cx, in, max_connection_duration, out.max_connection_duration);
  PILLION_SET_DURATION(cx, in, max_stream_duration, out.max_stream_duration);
  PILLION_SET_WRAPPER(in, max_headers_count, out.request_headers_max);
  PILLION_SET_WRAPPER(in, max_requests_per_connection, out.max_requests_per_connection);
  cx.unsupported_if(in.has_max_response_headers_kb(), "max_response_headers_kb");
  using To = HttpConnectionManager::Underscores;
  switch (in.headers_with_underscores_action()) {
    case core::HttpProtocolOptions::REJECT_REQUEST: out.headers_with_underscores = To::reject_request; break;
    case core::HttpProtocolOptions::DROP_HEADER: out.headers_with_underscores = To::drop_header; break;
    default: out.headers_with_underscores = To::allow;
  }
}

void set_protocols(Context& cx, const Manager& in, HttpConnectionManager& out) {
  using Codec = HttpConnectionManager::CodecType;
  constexpr uint32_t kBytesPerKb = 1024;
  if (in.codec_type() == Manager::HTTP1) out.codec = Codec::http1;
  if (in.codec_type() == Manager::HTTP2) out.codec = Codec::http2;
  cx.unsupported_if(in.codec_type() == Manager::HTTP3, "codec_type");
  if (in.has_max_request_headers_kb()) out.request_head_bytes_max = in.max_request_headers_kb().value() * kBytesPerKb;
  set_common(cx, in.common_http_protocol_options(), out);
  {
    const auto at = cx.field("http_protocol_options");
    set_http1_options(cx, in.http_protocol_options(), out.h1_trailers);
  }
  {
    const auto at = cx.field("http2_protocol_options");
    set_http2_options(cx, in.http2_protocol_options(),
                      {out.h2_concurrent_streams_max, out.h2_stream_window_bytes, out.h2_connection_window_bytes,
                       out.h2_limits, nullptr, nullptr});
    out.h2_allow_connect = in.http2_protocol_options().allow_connect();
  }
  for (const auto& upgrade : in.upgrade_configs()) {
    const bool enabled = !upgrade.has_enabled() || upgrade.enabled().value();
    if (enabled) out.upgrades.push_back(to_lower(upgrade.upgrade_type()));
  }
  cx.unsupported_if(in.stream_error_on_invalid_http_message().value(), "stream_error_on_invalid_http_message");
  cx.unsupported_if(in.add_proxy_protocol_connection_state().value(), "add_proxy_protocol_connection_state");
}

}  // namespace

HttpConnectionManager to_http_connection_manager(Context& cx, const Manager& in) {
  HttpConnectionManager out;
  out.stat_prefix = in.stat_prefix();
  set_routes(cx, in, out);
  set_filters(cx, in, out);
  out.access_logs = to_access_logs(cx, "access_log", in.access_log());
  set_identity(cx, in, out);
  set_paths(in, out);
  set_times(cx, in, out);
  set_protocols(cx, in, out);
  return out;
}

}  // namespace pillion::xds
