// Which protocol is spoken to a cluster, and its limits.
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/protocol.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include "xds/translate/cluster_parts.h"
#include "xds/translate/http_options.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // the fields of the cluster that the typed options replaced

namespace pillion::xds {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
namespace upstreams = envoy::extensions::upstreams::http::v3;
using config::Cluster;

namespace {

constexpr const char* kHttpOptions = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

void set_common(Context& cx, const core::HttpProtocolOptions& in, Cluster& out) {
  const auto at = cx.field("common_http_protocol_options");
  constexpr uint32_t kBytesPerKb = 1024;
  PILLION_SET_DURATION(cx, in, idle_timeout, out.idle_timeout);
  PILLION_SET_DURATION(cx, in, max_connection_duration, out.max_connection_duration);
  PILLION_SET_WRAPPER(in, max_headers_count, out.response_headers_max);
  PILLION_SET_WRAPPER(in, max_requests_per_connection, out.max_requests_per_connection);
  if (in.has_max_response_headers_kb()) {
    out.response_head_bytes_max = in.max_response_headers_kb().value() * kBytesPerKb;
  }
  cx.unsupported_if(in.has_max_stream_duration(), "max_stream_duration");
  cx.unsupported_if(in.headers_with_underscores_action() != core::HttpProtocolOptions::ALLOW,
                    "headers_with_underscores_action");
}

void set_names(const core::UpstreamHttpProtocolOptions& in, Cluster& out) {
  out.auto_sni = in.auto_sni();
  out.auto_san_validation = in.auto_san_validation();
}

// Both have the options of either protocol under these names.
template <class Options>
void set_codecs(Context& cx, const Options& in, Cluster& out) {
  if (in.has_http_protocol_options()) {
    const auto at = cx.field("http_protocol_options");
    set_http1_options(cx, in.http_protocol_options(), out.h1_trailers);
  }
  if (in.has_http2_protocol_options()) {
    const auto at = cx.field("http2_protocol_options");
    set_http2_options(cx, in.http2_protocol_options(),
                      {out.h2_concurrent_streams_max, out.h2_stream_window_bytes, out.h2_connection_window_bytes,
                       out.h2_limits, &out.h2_keepalive_interval, &out.h2_keepalive_timeout});
  }
}

void set_typed(Context& cx, const upstreams::HttpProtocolOptions& in, Cluster& out) {
  set_common(cx, in.common_http_protocol_options(), out);
  set_names(in.upstream_http_protocol_options(), out);
  if (in.has_use_downstream_protocol_config()) {
    const auto at = cx.field("use_downstream_protocol_config");
    out.protocol = Cluster::Protocol::downstream;
    out.carries_http1 = in.use_downstream_protocol_config().has_http2_protocol_options();
    set_codecs(cx, in.use_downstream_protocol_config(), out);
  } else if (in.has_auto_config()) {
    const auto at = cx.field("auto_config");
    out.protocol = Cluster::Protocol::automatic;
    out.carries_http1 = true;
    set_codecs(cx, in.auto_config(), out);
    if (out.tls == nullptr && out.socket_matches.empty()) cx.fail("needs a transport_socket with ALPN: TLS");
  } else {
    const auto at = cx.field("explicit_http_config");
    const bool http2 = in.explicit_http_config().has_http2_protocol_options();
    out.protocol = http2 ? Cluster::Protocol::http2 : Cluster::Protocol::http1;
    out.carries_http1 = http2;
    set_codecs(cx, in.explicit_http_config(), out);
  }
}

// The fields of the cluster itself, from before there were typed options.
void set_old(Context& cx, const cluster::Cluster& in, Cluster& out) {
  PILLION_SET_WRAPPER(in, max_requests_per_connection, out.max_requests_per_connection);
  if (in.has_common_http_protocol_options()) set_common(cx, in.common_http_protocol_options(), out);
  set_names(in.upstream_http_protocol_options(), out);
  set_codecs(cx, in, out);
  if (in.has_http2_protocol_options()) out.protocol = Cluster::Protocol::http2;
  out.carries_http1 = in.has_http2_protocol_options();
  if (in.protocol_selection() == cluster::Cluster::USE_DOWNSTREAM_PROTOCOL) {
    out.protocol = Cluster::Protocol::downstream;
  }
}

bool has_old(const cluster::Cluster& in) {
  return in.has_common_http_protocol_options() || in.has_upstream_http_protocol_options() ||
         in.has_http_protocol_options() || in.has_http2_protocol_options();
}

}  // namespace

void set_protocol(Context& cx, const cluster::Cluster& in, Cluster& out) {
  const auto& options = in.typed_extension_protocol_options();
  if (!options.contains(kHttpOptions)) set_old(cx, in, out);
  const auto at = cx.field("typed_extension_protocol_options");
  for (const auto& [name, any] : options) {
    const auto in_map = cx.key(name);
    if (name != kHttpOptions) cx.fail("is not supported by Pillion");
  }
  const auto it = options.find(kHttpOptions);
  if (it == options.end()) return;
  const auto in_map = cx.key(kHttpOptions);
  PILLION_SET_WRAPPER(in, max_requests_per_connection, out.max_requests_per_connection);
  if (has_old(in)) return cx.fail("may not be set together with the older fields *_protocol_options of the cluster");
  if (const auto typed = unpack_any<upstreams::HttpProtocolOptions>(cx, it->second)) set_typed(cx, *typed, out);
}

}  // namespace pillion::xds
