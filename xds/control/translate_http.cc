// Terminal filters: HTTP and TCP, with the access log of the namespace's MeshPolicy.
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/access_loggers/stream/v3/stream.pb.h>
#include <envoy/extensions/filters/http/router/v3/router.pb.h>
#include <envoy/extensions/filters/listener/http_inspector/v3/http_inspector.pb.h>
#include <envoy/extensions/filters/listener/original_dst/v3/original_dst.pb.h>
#include <envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>

#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

// Envoy's own line, and behind it what a mesh has to explain: where the caller wanted to go, where that was sent
// (BlackHoleCluster: egress to unknown destinations is denied), and why it failed.
constexpr const char* kAccessLogText =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% "
    "%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    "\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" "
    "\"%UPSTREAM_HOST%\" \"%DOWNSTREAM_LOCAL_ADDRESS%\" \"%UPSTREAM_CLUSTER%\" \"%RESPONSE_CODE_DETAILS%\" "
    "\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\"\n";
constexpr uint32_t kMaxRequestHeadersKb = 96;  // generous: applications with large cookies are common

namespace loggers = envoy::extensions::access_loggers;

template <class Log>
void set_format(const AccessLog& log, Log& out) {
  if (log.json.empty()) {
    out.mutable_log_format()->mutable_text_format_source()->set_inline_string(log.text.value_or(kAccessLogText));
    return;
  }
  auto& fields = *out.mutable_log_format()->mutable_json_format()->mutable_fields();
  for (const auto& [key, format] : log.json) fields[key].set_string_value(format);
}

template <class Log, class Filter>
void add_log(const AccessLog& log, const char* name, Log message, Filter& out) {
  set_format(log, message);
  auto* entry = out.add_access_log();
  entry->set_name(name);
  *entry->mutable_typed_config() = pack(message);
}

// The standard streams by their own loggers: /dev/stdout cannot be opened where it is a file of another user.
template <class Filter>
void add_access_log(const Scope& scope, Filter& out) {
  const AccessLog& log = scope.settings.access_log;
  if (!log.enabled || scope.node.kind == NodeClass::Kind::grpc) return;
  if (log.path == "/dev/stdout")
    return add_log(log, "envoy.access_loggers.stdout", loggers::stream::v3::StdoutAccessLog(), out);
  if (log.path == "/dev/stderr")
    return add_log(log, "envoy.access_loggers.stderr", loggers::stream::v3::StderrAccessLog(), out);
  loggers::file::v3::FileAccessLog file;
  file.set_path(log.path);
  add_log(log, "envoy.access_loggers.file", std::move(file), out);
}

}  // namespace

hcm::HttpConnectionManager http_manager(const Scope& scope, const HttpOptions& options) {
  hcm::HttpConnectionManager out;
  out.set_stat_prefix(options.stat_prefix);
  auto* router = out.add_http_filters();
  router->set_name("envoy.filters.http.router");
  *router->mutable_typed_config() = pack(envoy::extensions::filters::http::router::v3::Router());
  if (scope.node.kind == NodeClass::Kind::grpc) return out;
  add_access_log(scope, out);
  out.set_server_header_transformation(hcm::HttpConnectionManager::PASS_THROUGH);
  out.mutable_http_protocol_options()->set_accept_http_10(true);
  out.mutable_http_protocol_options()->set_enable_trailers(true);
  // A WebSocket of an HTTP/1 client crosses the two sidecars as an extended CONNECT (RFC 8441).
  out.mutable_http2_protocol_options()->set_allow_connect(true);
  out.add_upgrade_configs()->set_upgrade_type("websocket");
  out.mutable_max_request_headers_kb()->set_value(kMaxRequestHeadersKb);
  set_duration(*out.mutable_stream_idle_timeout(),
               Milliseconds(0));  // long polls and idle streams are the application's
  // Only what this connection itself proves is handed on; what the client wrote about itself is dropped.
  if (options.inbound && options.peer_identity) {
    out.set_forward_client_cert_details(hcm::HttpConnectionManager::SANITIZE_SET);
    auto* details = out.mutable_set_current_client_cert_details();
    details->mutable_subject()->set_value(true);
    details->set_uri(true);
  }
  return out;
}

listener::Filter http_filter(const hcm::HttpConnectionManager& manager) {
  listener::Filter out;
  out.set_name("envoy.filters.network.http_connection_manager");
  *out.mutable_typed_config() = pack(manager);
  return out;
}

listener::Filter tcp_filter(const Scope& scope, const std::string& stat_prefix, const std::string& cluster_name) {
  envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy proxy;
  proxy.set_stat_prefix(stat_prefix);
  proxy.set_cluster(cluster_name);
  add_access_log(scope, proxy);
  listener::Filter out;
  out.set_name("envoy.filters.network.tcp_proxy");
  *out.mutable_typed_config() = pack(proxy);
  return out;
}

void set_ads(core::ConfigSource& source) {
  source.mutable_ads();
  source.set_resource_api_version(core::ApiVersion::V3);
}

void set_address(core::Address& address, const std::string& ip, uint16_t port) {
  address.mutable_socket_address()->set_address(ip);
  address.mutable_socket_address()->set_port_value(port);
}

listener::ListenerFilter listener_filter(std::string_view name) {
  listener::ListenerFilter out;
  out.set_name("envoy.filters.listener." + std::string(name));
  namespace filters = envoy::extensions::filters::listener;
  if (name == "original_dst") *out.mutable_typed_config() = pack(filters::original_dst::v3::OriginalDst());
  if (name == "tls_inspector") *out.mutable_typed_config() = pack(filters::tls_inspector::v3::TlsInspector());
  if (name == "http_inspector") *out.mutable_typed_config() = pack(filters::http_inspector::v3::HttpInspector());
  return out;
}

}  // namespace pillion::xds::control
