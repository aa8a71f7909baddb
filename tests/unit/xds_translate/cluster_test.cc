#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>

#include "tests/unit/xds_translate/support.h"

namespace pillion::xds {

using namespace testing;
using config::Cluster;
using Message = envoy::config::cluster::v3::Cluster;
using Assignment = envoy::config::endpoint::v3::ClusterLoadAssignment;

namespace {

std::shared_ptr<const Cluster> good(const std::string& yaml) {
  auto out = translate_cluster(read<Message>(yaml));
  REQUIRE_MESSAGE(out.has_value(), error_of(out) << "\n" << yaml);
  return *out;
}

std::string options(const std::string& fields) {
  return "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: " +
         typed("upstreams.http.v3.HttpProtocolOptions") + fields + "}";
}

}  // namespace

TEST_CASE("cluster: what is not set is as Envoy has it") {
  const auto c = good("{name: a, connect_timeout: 1s}");
  CHECK(c->name == "a");
  CHECK(c->type == Cluster::Type::static_);
  CHECK(c->lb == Cluster::Lb::round_robin);
  CHECK(c->protocol == Cluster::Protocol::http1);
  CHECK(c->connect_timeout == 1s);
  CHECK(c->panic_threshold_percent == 50);
  CHECK(c->breakers[0].connections_max == 1024);
  CHECK(c->breakers[1].retries_max == 3);
  CHECK(!c->outlier);
  CHECK(c->tls == nullptr);
  REQUIRE(c->inline_endpoints != nullptr);
  CHECK(c->inline_endpoints->localities.empty());
}

TEST_CASE("cluster: endpoints with localities, weights, health and metadata") {
  const auto c = good(R"(
name: a
load_assignment:
  cluster_name: a
  policy: {overprovisioning_factor: 200}
  endpoints:
  - locality: {region: r, zone: z}
    load_balancing_weight: 3
    priority: 1
    lb_endpoints:
    - endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: 80}}, hostname: one}
      load_balancing_weight: 6
      health_status: DRAINING
      metadata: {filter_metadata: {envoy.transport_socket_match: {mode: mesh, on: true, n: 3}, envoy.lb: {x: y}}}
    - endpoint: {address: {pipe: {path: /run/a.sock}}}
)");
  const auto& assignment = *c->inline_endpoints;
  CHECK(assignment.overprovisioning_percent == 200);
  REQUIRE(assignment.localities.size() == 1);
  const auto& locality = assignment.localities[0];
  CHECK(locality.locality == config::Locality{"r", "z", ""});
  CHECK(locality.weight == 3);
  CHECK(locality.priority == 1);
  REQUIRE(locality.endpoints.size() == 2);
  CHECK(locality.endpoints[0].address.to_string() == "127.0.0.1:80");
  CHECK(locality.endpoints[0].hostname == "one");
  CHECK(locality.endpoints[0].weight == 6);
  CHECK(locality.endpoints[0].health == config::HealthStatus::draining);
  CHECK(locality.endpoints[0].transport_socket_match ==
        std::map<std::string, std::string>{{"mode", "mesh"}, {"on", "true"}, {"n", "3"}});
  CHECK(locality.endpoints[1].address.path() == "/run/a.sock");
}

TEST_CASE("cluster: names are looked up in clusters of DNS only") {
  const char* load =
      "load_assignment: {cluster_name: a, endpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: "
      "some.name, port_value: 80}}}}]}]}";
  const auto c =
      good(std::string("{name: a, type: STRICT_DNS, dns_lookup_family: V4_ONLY, dns_refresh_rate: 1s, ") + load + "}");
  CHECK(c->type == Cluster::Type::strict_dns);
  CHECK(c->dns_family == Cluster::DnsFamily::v4_only);
  CHECK(c->dns_refresh == 1s);
  const auto& endpoint = c->inline_endpoints->localities.at(0).endpoints.at(0);
  CHECK(endpoint.address.is_none());
  CHECK(endpoint.hostname == "some.name");
  CHECK(endpoint.port == 80);
  CHECK(error_of(translate_cluster(read<Message>(std::string("{name: a, ") + load + "}")))
            .starts_with("load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: "));
}

TEST_CASE("cluster: EDS by ADS, ORIGINAL_DST with its balancing") {
  const auto eds = good("{name: a, type: EDS, eds_cluster_config: {service_name: s, eds_config: {ads: {}}}}");
  CHECK(eds->type == Cluster::Type::eds);
  CHECK(eds->eds_name == "s");
  CHECK(eds->inline_endpoints == nullptr);
  CHECK(eds->eds_fetch_timeout == 15s);
  const auto hasty = [](const std::string& timeout) {
    return "{name: a, type: EDS, eds_cluster_config: {eds_config: {ads: {}, initial_fetch_timeout: " + timeout + "}}}";
  };
  CHECK(good(hasty("2s"))->eds_fetch_timeout == 2s);
  CHECK(good(hasty("0s"))->eds_fetch_timeout == 0s);
  CHECK(error_of(translate_cluster(read<Message>(hasty("-1s"))))
            .starts_with("eds_cluster_config.eds_config.initial_fetch_timeout: "));
  const auto dst = good(
      "{name: a, type: ORIGINAL_DST, lb_policy: CLUSTER_PROVIDED, original_dst_lb_config: {use_http_header: true, "
      "upstream_port_override: 81}, upstream_bind_config: {source_address: {address: 127.0.0.6, port_value: 0}, "
      "extra_source_addresses: [{address: {address: '::6', port_value: 0}}]}}");
  CHECK(dst->type == Cluster::Type::original_dst);
  CHECK(dst->original_dst_use_header);
  CHECK(dst->original_dst_port_override == 81);
  CHECK(dst->bind.to_string() == "127.0.0.6:0");
  REQUIRE(dst->extra_binds.size() == 1);
  CHECK(dst->extra_binds[0].to_string() == "[::6]:0");
}

TEST_CASE("cluster: balancing in either spelling") {
  struct Case {
    std::string yaml;
    Cluster::Lb lb;
    uint32_t choices;
    bool by_locality;
  };
  const auto policy = [](const std::string& any) {
    return "load_balancing_policy: {policies: [{typed_extension_config: {name: x, typed_config: " + any + "}}]}";
  };
  const Case cases[] = {
      {"lb_policy: RANDOM", Cluster::Lb::random, 2, false},
      {"{lb_policy: LEAST_REQUEST, least_request_lb_config: {choice_count: 4}}", Cluster::Lb::least_request, 4, false},
      {"common_lb_config: {locality_weighted_lb_config: {}}", Cluster::Lb::round_robin, 2, true},
      {policy(typed("load_balancing_policies.least_request.v3.LeastRequest") + "choice_count: 3}"),
       Cluster::Lb::least_request, 3, false},
      {policy(typed("load_balancing_policies.random.v3.Random") +
              "locality_lb_config: {locality_weighted_lb_config: {}}}"),
       Cluster::Lb::random, 2, true},
      {policy(typed("load_balancing_policies.wrr_locality.v3.WrrLocality") +
              "endpoint_picking_policy: {policies: [{typed_extension_config: {name: z, typed_config: " +
              typed("load_balancing_policies.round_robin.v3.RoundRobin") + "}}}]}}"),
       Cluster::Lb::round_robin, 2, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.yaml);
    const auto out = good(c.yaml.starts_with('{') ? "{name: a, " + c.yaml.substr(1) : "{name: a, " + c.yaml + "}");
    CHECK(out->lb == c.lb);
    CHECK(out->choice_count == c.choices);
    CHECK(out->locality_weighted == c.by_locality);
  }
}

TEST_CASE("cluster: the protocol and its limits") {
  struct Case {
    std::string yaml;
    Cluster::Protocol protocol;
    bool carries_http1 = true;
  };
  const Case cases[] = {
      {options("explicit_http_config: {http2_protocol_options: {}}}"), Cluster::Protocol::http2},
      {options("explicit_http_config: {http_protocol_options: {enable_trailers: true}}}"), Cluster::Protocol::http1,
       false},
      {options("use_downstream_protocol_config: {http2_protocol_options: {allow_connect: true}}}"),
       Cluster::Protocol::downstream},
      {"http2_protocol_options: {}", Cluster::Protocol::http2},
      {"protocol_selection: USE_DOWNSTREAM_PROTOCOL", Cluster::Protocol::downstream, false},
      {options("use_downstream_protocol_config: {}}"), Cluster::Protocol::downstream, false},
      {options("auto_config: {}}") +
           ", transport_socket: {name: t, typed_config: " + typed("transport_sockets.tls.v3.UpstreamTlsContext") + "}}",
       Cluster::Protocol::automatic},
  };
  for (const Case& c : cases) {
    CAPTURE(c.yaml);
    const auto out = good("{name: a, " + c.yaml + "}");
    CHECK(out->protocol == c.protocol);
    CHECK(out->carries_http1 == c.carries_http1);
    CHECK(out->h1_trailers == c.yaml.contains("enable_trailers"));
  }
  const auto limits = good("{name: a, " +
                           options("common_http_protocol_options: {idle_timeout: 3s, max_requests_per_connection: 7, "
                                   "max_headers_count: 9}, upstream_http_protocol_options: {auto_sni: true}, "
                                   "explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 5, "
                                   "connection_keepalive: {interval: 10s, timeout: 3s}}}}") +
                           "}");
  CHECK(limits->idle_timeout == 3s);
  CHECK(limits->max_requests_per_connection == 7);
  CHECK(limits->response_headers_max == 9);
  CHECK(limits->auto_sni);
  CHECK(limits->h2_concurrent_streams_max == 5);
  CHECK(limits->h2_keepalive_interval == 10s);
  CHECK(limits->h2_keepalive_timeout == 3s);
}

TEST_CASE("cluster: breakers, outliers, keepalive, sockets by match") {
  const auto c = good(
      "{name: a, circuit_breakers: {thresholds: [{max_connections: 1, max_pending_requests: 0, "
      "retry_budget: {budget_percent: {value: 1.5}}}, {priority: HIGH, max_requests: 3}]}, "
      "outlier_detection: {consecutive_5xx: 3, interval: 0.2s, base_ejection_time: 400s, "
      "enforcing_success_rate: 0}, upstream_connection_options: {tcp_keepalive: {keepalive_time: 9}}, "
      "transport_socket_matches: [{name: m, match: {tlsMode: x}, transport_socket: {name: t, "
      "typed_config: " +
      typed("transport_sockets.tls.v3.UpstreamTlsContext") +
      "sni: s.test}}}, {name: p, match: {}, transport_socket: {name: "
      "envoy.transport_sockets.raw_buffer}}]}");
  CHECK(c->breakers[0].connections_max == 1);
  CHECK(c->breakers[0].pending_max == 0);
  CHECK(c->breakers[0].retry_budget_percent == 1.5);
  CHECK(c->breakers[0].retry_concurrency_min == 3);
  CHECK(c->breakers[1].requests_max == 3);
  REQUIRE(c->outlier);
  CHECK(c->outlier->consecutive_5xx == 3);
  CHECK(c->outlier->interval == 200ms);
  CHECK(c->outlier->max_ejection_time == 400s);
  CHECK(c->tcp_keepalive);
  CHECK(c->tcp_keepalive_time_s == 9);
  REQUIRE(c->socket_matches.size() == 2);
  CHECK(c->socket_matches[0].match == std::map<std::string, std::string>{{"tlsMode", "x"}});
  REQUIRE(c->socket_matches[0].tls != nullptr);
  CHECK(c->socket_matches[0].tls->sni == "s.test");
  CHECK(c->socket_matches[1].tls == nullptr);
}

TEST_CASE("cluster: what cannot be honoured is refused with its field") {
  const BadCase cases[] = {
      {"{name: a, connect_timeout: 0s}", "connect_timeout: "},
      {"{name: a, lb_policy: MAGLEV}", "lb_policy: MAGLEV is not supported"},
      {"{name: a, lb_policy: CLUSTER_PROVIDED}", "lb_policy: CLUSTER_PROVIDED and"},
      {"{name: a, health_checks: [{timeout: 1s, interval: 1s, unhealthy_threshold: 1, healthy_threshold: 1, "
       "tcp_health_check: {}}]}",
       "health_checks: is not supported by Pillion"},
      {"{name: a, type: EDS}", "eds_cluster_config: must be set"},
      {"{name: a, type: EDS, eds_cluster_config: {eds_config: {path_config_source: {path: /x}}}}",
       "eds_cluster_config.eds_config.path_config_source: only ads"},
      {"{name: a, type: LOGICAL_DNS}", "load_assignment: a cluster of type LOGICAL_DNS"},
      {"{name: a, outlier_detection: {enforcing_success_rate: 50}}",
       "outlier_detection.enforcing_success_rate: is not supported"},
      {"{name: a, transport_socket: {name: x, typed_config: {\"@type\": "
       "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext}}}",
       "transport_socket.typed_config: the transport socket"},
      {"{name: a, common_lb_config: {close_connections_on_host_set_change: true}}",
       "common_lb_config.close_connections_on_host_set_change: is not supported"},
      {"{name: a, typed_extension_protocol_options: {other: {\"@type\": "
       "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}}",
       "typed_extension_protocol_options[\"other\"]: is not supported"},
  };
  for (const BadCase& c : cases) {
    CAPTURE(c.yaml);
    const std::string error = error_of(translate_cluster(read<Message>(c.yaml)));
    CAPTURE(error);
    CHECK(error.starts_with(c.error));
  }
}

TEST_CASE("cluster: an unknown field inside of an Any is refused with its path") {
  const auto message = read<Message>("{name: a, " +
                                     options("explicit_http_config: {http_protocol_options: "
                                             "{send_fully_qualified_url: true}}}") +
                                     "}");
  CHECK(error_of(translate_cluster(message)) ==
        "typed_extension_protocol_options[\"envoy.extensions.upstreams.http.v3.HttpProtocolOptions\"]"
        ".explicit_http_config.http_protocol_options.send_fully_qualified_url: is not supported by Pillion");
}

TEST_CASE("endpoints: equal messages have equal hashes, others not") {
  const char* one =
      "{cluster_name: a, endpoints: [{priority: 0, lb_endpoints: [{endpoint: {address: {socket_address: "
      "{address: 10.0.0.1, port_value: 80}}}}]}]}";
  const auto a = translate_endpoints(read<Assignment>(one));
  const auto b = translate_endpoints(read<Assignment>(one));
  const auto other = translate_endpoints(read<Assignment>("{cluster_name: a}"));
  REQUIRE(a);
  REQUIRE(b);
  REQUIRE(other);
  CHECK((*a)->name == "a");
  CHECK((*a)->hash == (*b)->hash);
  CHECK((*a)->hash != (*other)->hash);
}

}  // namespace pillion::xds
