#include <envoy/config/listener/v3/listener.pb.h>

#include "tests/unit/xds_translate/support.h"

namespace pillion::xds {

using namespace testing;
using Message = envoy::config::listener::v3::Listener;
using config::HttpConnectionManager;

namespace {

const std::string kRouter =
    "http_filters: [{name: envoy.filters.http.router, typed_config: " + typed("filters.http.router.v3.Router") + "}}]";
const std::string kRoutes =
    "route_config: {virtual_hosts: [{name: v, domains: [\"*\"], routes: [{match: {prefix: /}, route: {cluster: a}}]}]}";
const std::string kTcp = "{filters: [{name: tcp, typed_config: " + typed("filters.network.tcp_proxy.v3.TcpProxy") +
                         "stat_prefix: t, cluster: a}}]}";

std::string with_chain(const std::string& chain) {
  return "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 80}}, filter_chains: [" + chain + "]}";
}
std::string with_manager(const std::string& fields) {
  return with_chain("{filters: [{name: hcm, typed_config: " +
                    typed("filters.network.http_connection_manager.v3.HttpConnectionManager") + "stat_prefix: s, " +
                    fields + "}}]}");
}

std::shared_ptr<const config::Listener> good(const std::string& yaml) {
  auto out = translate_listener(read<Message>(yaml));
  REQUIRE_MESSAGE(out.has_value(), error_of(out) << "\n" << yaml);
  return *out;
}
HttpConnectionManager good_manager(const std::string& fields) {
  const auto listener = good(with_manager(kRouter + ", " + kRoutes + (fields.empty() ? "" : ", " + fields)));
  return std::get<HttpConnectionManager>(listener->chains.at(0).terminal);
}

}  // namespace

TEST_CASE("listener: HTTP/1 inside of HTTP/2 is offered to peers that prove who they are, where HTTP/2 is") {
  const auto alpn = [](const std::string& terminal, const std::string& codec, const std::string& tls) {
    const std::string manager = typed("filters.network.http_connection_manager.v3.HttpConnectionManager") +
                                "stat_prefix: s, " + codec + kRouter + ", " + kRoutes + "}";
    const std::string proxy = typed("filters.network.tcp_proxy.v3.TcpProxy") + "stat_prefix: t, cluster: a}";
    const auto l = good(with_chain("{filters: [{name: f, typed_config: " + (terminal == "http" ? manager : proxy) +
                                   "}], transport_socket: {name: t, typed_config: " +
                                   typed("transport_sockets.tls.v3.DownstreamTlsContext") + tls + "}}}"));
    std::string out;
    for (const std::string& name : l->chains.at(0).tls->alpn) out += name + " ";
    return out;
  };
  const auto tls = [](const char* names, bool mutual) {
    return std::string(mutual ? "require_client_certificate: true, " : "") + "common_tls_context: {alpn_protocols: [" +
           names + "], tls_certificates: [{certificate_chain: {inline_string: C}, private_key: {inline_string: K}}], " +
           "validation_context: {trusted_ca: {inline_string: CA}}}";
  };
  CHECK(alpn("http", "", tls("h2, http/1.1", true)) == "pillion-h2 h2 http/1.1 ");
  CHECK(alpn("http", "codec_type: HTTP2, ", tls("h2", true)) == "pillion-h2 h2 ");
  CHECK(alpn("http", "", tls("http/1.1", true)) == "http/1.1 ");
  CHECK(alpn("http", "", tls("h2, http/1.1", false)) == "h2 http/1.1 ");
  CHECK(alpn("http", "codec_type: HTTP1, ", tls("h2, http/1.1", true)) == "h2 http/1.1 ");
  CHECK(alpn("tcp", "", tls("h2, http/1.1", true)) == "h2 http/1.1 ");
}

TEST_CASE("listener: addresses, listener filters and what is not set") {
  const auto plain = good(with_chain(kTcp));
  CHECK(plain->addresses.at(0).to_string() == "127.0.0.1:80");
  CHECK(plain->bind_to_port);
  CHECK(plain->reuse_port);
  CHECK(plain->listener_filters_timeout == 15s);
  CHECK(!plain->tls_inspector);
  const auto full = good(
      "{name: l, address: {socket_address: {address: 0.0.0.0, port_value: 15001}}, additional_addresses: [{address: "
      "{socket_address: {address: \"::\", port_value: 15001}}}], bind_to_port: false, use_original_dst: true, "
      "traffic_direction: OUTBOUND, continue_on_listener_filters_timeout: true, listener_filters_timeout: 0.1s, "
      "listener_filters: [{name: o, typed_config: " +
      typed("filters.listener.original_dst.v3.OriginalDst") +
      "}}, {name: t, typed_config: " + typed("filters.listener.tls_inspector.v3.TlsInspector") +
      "}}, {name: h, typed_config: " + typed("filters.listener.http_inspector.v3.HttpInspector") +
      "}}], default_filter_chain: " + kTcp + "}");
  CHECK(full->addresses.size() == 2);
  CHECK(!full->bind_to_port);
  CHECK(full->use_original_dst);
  CHECK(full->original_dst);
  CHECK(full->tls_inspector);
  CHECK(full->http_inspector);
  CHECK(full->continue_on_listener_filters_timeout);
  CHECK(full->listener_filters_timeout == 100ms);
  CHECK(full->direction == config::Listener::Direction::outbound);
  REQUIRE(full->default_chain);
  CHECK(std::get<config::TcpProxy>(full->default_chain->terminal).clusters.at(0).cluster == "a");
}

TEST_CASE("listener: matches of filter chains") {
  const auto l = good(with_chain(
      "{name: c, filter_chain_match: {destination_port: 80, prefix_ranges: [{address_prefix: 10.0.0.0, prefix_len: "
      "8}], "
      "server_names: [A.test, \"*.b.test\"], transport_protocol: tls, application_protocols: [h2], source_type: "
      "EXTERNAL, source_ports: [5]}, transport_socket_connect_timeout: 2s, " +
      kTcp.substr(1)));
  const auto& match = l->chains.at(0).match;
  CHECK(match.destination_port == 80);
  CHECK(match.prefix_ranges.at(0).contains(*Address::parse_ip("10.1.2.3", 0)));
  CHECK(match.server_names == std::vector<std::string>{"a.test", "*.b.test"});
  CHECK(match.transport_protocol == "tls");
  CHECK(match.application_protocols == std::vector<std::string>{"h2"});
  CHECK(match.source_type == config::FilterChainMatch::SourceType::external);
  CHECK(match.source_ports == std::vector<uint16_t>{5});
  CHECK(l->chains.at(0).handshake_timeout == 2s);
}

TEST_CASE("listener: the connection manager") {
  const auto plain = good_manager("");
  CHECK(plain.stat_prefix == "s");
  REQUIRE(plain.routes != nullptr);
  CHECK(plain.routes->find("x") != nullptr);
  CHECK(plain.filters.empty());
  CHECK(plain.stream_idle_timeout == 300s);
  CHECK(plain.accept_http10);
  CHECK(!plain.h2_allow_connect);
  CHECK(good_manager("http2_protocol_options: {allow_connect: true}").h2_allow_connect);
  const auto full = good_manager(
      "codec_type: HTTP2, use_remote_address: true, xff_num_trusted_hops: 2, via: v, server_name: our, "
      "server_header_transformation: PASS_THROUGH, forward_client_cert_details: SANITIZE_SET, "
      "set_current_client_cert_details: {subject: true, uri: true}, generate_request_id: false, normalize_path: true, "
      "path_with_escaped_slashes_action: REJECT_REQUEST, stream_idle_timeout: 0s, request_timeout: 0.4s, "
      "max_request_headers_kb: 8, common_http_protocol_options: {max_headers_count: 10, "
      "headers_with_underscores_action: "
      "DROP_HEADER, idle_timeout: 5s}, http2_protocol_options: {max_concurrent_streams: 2, allow_connect: true}, "
      "upgrade_configs: [{upgrade_type: WebSocket}], internal_address_config: {cidr_ranges: [{address_prefix: "
      "127.0.0.0, prefix_len: 8}]}, request_id_extension: {typed_config: " +
      typed("request_id.uuid.v3.UuidRequestIdConfig") + "pack_trace_reason: false}}, tracing: {verbose: true}");
  CHECK(full.codec == HttpConnectionManager::CodecType::http2);
  CHECK(full.use_remote_address);
  CHECK(full.xff_trusted_hops == 2);
  CHECK(full.via == "v");
  CHECK(full.server_name == "our");
  CHECK(full.server_header == HttpConnectionManager::ServerHeader::pass_through);
  CHECK(full.forward_client_cert == HttpConnectionManager::ForwardClientCert::sanitize_set);
  CHECK(full.xfcc_subject);
  CHECK(full.xfcc_uri);
  CHECK(!full.generate_request_id);
  CHECK(full.normalize_path);
  CHECK(full.escaped_slashes == HttpConnectionManager::EscapedSlashes::reject);
  CHECK(full.stream_idle_timeout == 0s);
  CHECK(full.request_timeout == 400ms);
  CHECK(full.request_head_bytes_max == 8 * 1024);
  CHECK(full.request_headers_max == 10);
  CHECK(full.headers_with_underscores == HttpConnectionManager::Underscores::drop_header);
  CHECK(full.idle_timeout == 5s);
  CHECK(full.h2_concurrent_streams_max == 2);
  CHECK(full.upgrades == std::vector<std::string>{"websocket"});
  CHECK(full.internal_addresses.size() == 1);
}

TEST_CASE("listener: routes by RDS") {
  const auto l = good(with_manager(kRouter + ", rds: {route_config_name: r, config_source: {ads: {}}}"));
  const auto& manager = std::get<HttpConnectionManager>(l->chains.at(0).terminal);
  CHECK(manager.rds_name == "r");
  CHECK(manager.rds_fetch_timeout == 15s);
  const auto hasty = good(
      with_manager(kRouter + ", rds: {route_config_name: r, config_source: {ads: {}, initial_fetch_timeout: 0.5s}}"));
  CHECK(std::get<HttpConnectionManager>(hasty->chains.at(0).terminal).rds_fetch_timeout == 500ms);
  CHECK(manager.routes == nullptr);
}

TEST_CASE("listener: access logs in text and JSON, with filters") {
  const std::string file = typed("access_loggers.file.v3.FileAccessLog") + "path: /tmp/x";
  const auto manager = good_manager(
      "access_log: [{name: a, typed_config: " + file + "}}, {name: b, typed_config: " + file +
      ", log_format: {omit_empty_values: true, json_format: {b: \"%PROTOCOL%\", a: 7, c: {d: true}, e: [x]}}}, filter: "
      "{and_filter: {filters: [{status_code_filter: {comparison: {op: GE, value: {default_value: 400, runtime_key: "
      "k}}}}, {response_flag_filter: {flags: [NR]}}]}}}, {name: c, typed_config: " +
      typed("access_loggers.stream.v3.StdoutAccessLog") +
      "log_format: {text_format_source: {inline_string: \"%REQ(:PATH)%\\n\"}}}}]");
  REQUIRE(manager.access_logs.size() == 3);
  CHECK(manager.access_logs[0].path == "/tmp/x");
  CHECK(manager.access_logs[0].text.has_value());
  const auto& json = manager.access_logs[1];
  REQUIRE(json.json);
  CHECK(json.omit_empty);
  REQUIRE(json.json->fields.size() == 4);
  CHECK(json.json->fields[0].key == "a");
  CHECK(json.json->fields[0].raw == "7");
  CHECK(json.json->fields[1].value.has_value());
  CHECK(json.json->fields[2].children.at(0).raw == "true");
  CHECK(json.json->fields[3].is_list);
  REQUIRE(json.filter);
  CHECK(json.filter->kind == config::AccessLogFilter::Kind::and_);
  CHECK(json.filter->children.at(0).value == 400);
  CHECK(json.filter->children.at(1).flags == std::vector<std::string>{"NR"});
  CHECK(manager.access_logs[2].path == "/dev/stdout");
  CHECK(manager.access_logs[2].text->ops.size() == 2);
}

TEST_CASE("listener: the TCP proxy") {
  const auto l =
      good(with_chain("{filters: [{name: t, typed_config: " + typed("filters.network.tcp_proxy.v3.TcpProxy") +
                      "stat_prefix: t, idle_timeout: 0.4s, max_connect_attempts: 3, weighted_clusters: "
                      "{clusters: [{name: a, weight: 70}, {name: b, weight: 30}]}}}]}"));
  const auto& proxy = std::get<config::TcpProxy>(l->chains.at(0).terminal);
  CHECK(proxy.total_weight == 100);
  CHECK(proxy.clusters.at(1).cluster == "b");
  CHECK(proxy.idle_timeout == 400ms);
  CHECK(proxy.connect_attempts_max == 3);
}

TEST_CASE("listener: what cannot be honoured is refused with its field") {
  const std::string manager = "filter_chains[0].filters[0].typed_config";
  const std::string cors = "{name: c, typed_config: " + typed("filters.http.cors.v3.Cors") + "}}";
  const std::pair<std::string, std::string> cases[] = {
      {with_chain(kTcp + ", " + kTcp), "filter_chains[1].filter_chain_match: is the same as"},
      {with_chain("{}"), "filter_chains[0].filters: must not be empty"},
      {"{name: l, address: {socket_address: {address: 300.1.1.1, port_value: 1}}, filter_chains: [" + kTcp + "]}",
       "address.socket_address.address: \"300.1.1.1\" is not an IP address"},
      {"{name: l, address: {socket_address: {address: 1.1.1.1, port_value: 1}}, freebind: true, filter_chains: [" +
           kTcp + "]}",
       "freebind: is not supported"},
      {with_manager(kRouter + ", " + kRoutes + ", proxy_100_continue: true"), manager + ".proxy_100_continue: is not"},
      {with_manager(kRouter + ", " + kRoutes + ", local_reply_config: {}"), manager + ".local_reply_config: is not"},
      {with_manager("http_filters: [" + cors + "], " + kRoutes), manager + ".http_filters[0]: the last filter must be"},
      {with_manager("http_filters: [" + cors + ", " + kRouter.substr(kRouter.find('[') + 1) + ", " + kRoutes),
       manager + ".http_filters[0].typed_config: the HTTP filter c "},
      {with_manager(kRouter + ", " + kRoutes + ", tracing: {provider: {name: x}}"),
       manager + ".tracing.provider: is not"},
      {with_manager(kRouter + ", rds: {route_config_name: r, config_source: {path_config_source: {path: /x}}}"),
       manager + ".rds.config_source.path_config_source: only ads"},
  };
  for (const auto& [yaml, want] : cases) {
    CAPTURE(yaml);
    const std::string error = error_of(translate_listener(read<Message>(yaml)));
    CAPTURE(error);
    CHECK(error.starts_with(want));
  }
}

TEST_CASE("listener: filters of the table are compiled, with their configuration per route") {
  struct Compiled : config::FilterConfig {};
  static const KnownFields known[] = {{"envoy.extensions.filters.http.cors.v3.CorsPolicy", "max_age"}};
  const auto compile = [](const google::protobuf::Message&,
                          std::string_view) -> std::expected<std::shared_ptr<const config::FilterConfig>, ConfigError> {
    return std::make_shared<const Compiled>();
  };
  const FilterTable table{.http = {{.name = "envoy.filters.http.cors",
                                    .config_type = "envoy.extensions.filters.http.cors.v3.Cors",
                                    .compile = compile,
                                    .route_type = "envoy.extensions.filters.http.cors.v3.CorsPolicy",
                                    .compile_route = compile,
                                    .known = known}}};
  const TranslationOptions options{.filters = &table};
  const auto yaml = [](const std::string& policy) {
    return with_manager("http_filters: [{name: c, typed_config: " + typed("filters.http.cors.v3.Cors") + "}}, " +
                        kRouter.substr(kRouter.find('[') + 1) +
                        ", route_config: {virtual_hosts: [{name: v, domains: [\"*\"], typed_per_filter_config: {c: " +
                        typed("filters.http.cors.v3.CorsPolicy") + policy + "}}}]}");
  };
  const auto listener = translate_listener(read<Message>(yaml("max_age: \"1\"")), options);
  REQUIRE_MESSAGE(listener.has_value(), error_of(listener));
  const auto& manager = std::get<HttpConnectionManager>((*listener)->chains.at(0).terminal);
  REQUIRE(manager.filters.size() == 1);
  CHECK(manager.filters[0].name == "c");
  CHECK(manager.filters[0].type == "envoy.filters.http.cors");
  CHECK(manager.routes->virtual_hosts.at(0).per_filter.contains("c"));
  CHECK(error_of(translate_listener(read<Message>(yaml("allow_methods: GET")), options))
            .ends_with("typed_per_filter_config[\"c\"].allow_methods: is not supported by Pillion"));
}

}  // namespace pillion::xds
