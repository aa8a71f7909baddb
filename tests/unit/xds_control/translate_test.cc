#include "xds/control/translate.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>
#include <envoy/extensions/upstreams/http/v3/http_protocol_options.pb.h>

#include "tests/unit/xds_control/support.h"
#include "xds/api/validate.h"

using namespace pillion;
using namespace pillion::xds;
using namespace pillion::xds::control;
using namespace pillion::xds::control::testing;

namespace {

using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using Hcm = envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
namespace tls = envoy::extensions::transport_sockets::tls::v3;

NodeClass node(const std::string& account, const std::string& zone, const std::string& ip) {
  NodeClass out;
  out.service_account = {"shop", account};
  out.zone = zone;
  if (!ip.empty()) out.ips = {ip};
  return out;
}

std::shared_ptr<const Model> shop() {
  DirectorySource source;
  auto result = source.apply(shop_files());
  REQUIRE(result.errors.empty());
  return result.model;
}

std::string explained(const ResourceSet& set) {
  std::string out;
  for (const auto& type : {kListenerType, kRouteType, kClusterType, kEndpointType}) {
    for (const auto& [name, resource] : set.of(type)) {
      auto message = new_message(*find_type(type));
      REQUIRE(message->ParseFromString(resource->body));
      for (const ConfigError& error : pillion::xds::validate(*message, name, 5)) out += error.to_string() + "\n";
    }
  }
  return out;
}

const envoy::config::listener::v3::FilterChain* chain_of(const Listener& listener, const std::string& name) {
  for (const auto& chain : listener.filter_chains()) {
    if (chain.name() == name) return &chain;
  }
  return nullptr;
}

std::string chains(const Listener& listener) {
  std::string out;
  for (const auto& chain : listener.filter_chains()) out += chain.name() + " ";
  return out;
}

std::vector<std::string> names(const ResourceMap& resources) {
  std::vector<std::string> out;
  for (const auto& [name, resource] : resources) out.push_back(name);
  return out;
}

}  // namespace

TEST_CASE("translate: every class of the shop keeps the API's constraints") {
  const auto model = shop();
  NodeClass envoy = node("client", "zone-a", "10.77.1.10");
  envoy.tls_files = "/var/run/pillion";
  NodeClass grpc = node("client", "zone-a", "10.77.1.10");
  grpc.kind = NodeClass::Kind::grpc;
  for (const NodeClass& n : {node("client", "zone-a", "10.77.1.10"), node("web", "zone-b", "10.77.2.14"),
                             node("nats", "zone-b", "10.77.2.31"), node("stranger", "", ""), envoy, grpc}) {
    CAPTURE(n.service_account.name);
    const auto set = translate(*model, n, {});
    CHECK(explained(*set) == "");
    CHECK(set->version() == translate(*model, n, {})->version());
  }
}

TEST_CASE("translate: the shop's client sees a listener per address, a route per HTTP port, a cluster per service") {
  const auto set = translate(*shop(), node("client", "zone-a", "10.77.1.10"), {});
  CHECK(names(set->of(kListenerType)) == std::vector<std::string>{"10.78.0.10_50051", "10.78.0.10_80",
                                                                  "10.78.0.20_50051", "10.78.0.30_4222",
                                                                  "virtualInbound", "virtualOutbound"});
  CHECK(names(set->of(kRouteType)) ==
        std::vector<std::string>{"nats.shop.svc.cluster.local:4222", "orders.shop.svc.cluster.local:50051",
                                 "web.shop.svc.cluster.local:50051", "web.shop.svc.cluster.local:80"});
  CHECK(names(set->of(kClusterType)) ==
        std::vector<std::string>{
            "BlackHoleCluster", "InboundPassthroughCluster", "PassthroughCluster",
            "outbound|4222||nats.shop.svc.cluster.local", "outbound|50051||orders.shop.svc.cluster.local",
            "outbound|50051||web.shop.svc.cluster.local", "outbound|80||web-canary.shop.svc.cluster.local",
            "outbound|80||web-stable.shop.svc.cluster.local", "outbound|80||web.shop.svc.cluster.local"});
  CHECK(set->of(kEndpointType).size() == 6);
  CHECK(set->of(kSecretType).empty());

  const auto l = message_of<Listener>(*set, kListenerType, "10.78.0.10_80");
  CHECK(!l.bind_to_port().value());
  REQUIRE(l.filter_chains_size() == 1);
  Hcm hcm;
  REQUIRE(l.filter_chains(0).filters(0).typed_config().UnpackTo(&hcm));
  CHECK(hcm.rds().route_config_name() == "web.shop.svc.cluster.local:80");
  CHECK(hcm.rds().config_source().has_ads());

  const auto undeclared = message_of<Listener>(*set, kListenerType, "10.78.0.30_4222");
  CHECK(undeclared.listener_filters_size() == 2);
  CHECK(undeclared.has_default_filter_chain());
  CHECK(undeclared.continue_on_listener_filters_timeout());

  const auto capture = message_of<Listener>(*set, kListenerType, "virtualOutbound");
  CHECK(capture.use_original_dst().value());
  CHECK(capture.address().socket_address().port_value() == 15001);
}

TEST_CASE("translate: the canary's share is a weight of the route, and no weight is no backend") {
  auto files = shop_files();
  DirectorySource source;
  const NodeClass client = node("client", "zone-a", "10.77.1.10");
  auto before = translate(*source.apply(files).model, client, {});
  auto r = message_of<RouteConfiguration>(*before, kRouteType, "web.shop.svc.cluster.local:80");
  REQUIRE(r.virtual_hosts(0).routes_size() == 1);
  const auto& action = r.virtual_hosts(0).routes(0).route();
  REQUIRE(action.weighted_clusters().clusters_size() == 2);
  CHECK(action.weighted_clusters().clusters(0).name() == "outbound|80||web-stable.shop.svc.cluster.local");
  CHECK(action.weighted_clusters().clusters(0).weight().value() == 90);
  CHECK(action.retry_policy().retry_on() == "connect-failure,refused-stream,reset,gateway-error");
  CHECK(action.retry_policy().per_try_timeout().seconds() == 2);
  CHECK(action.timeout().seconds() == 0);
  std::vector<std::string> domains(r.virtual_hosts(0).domains().begin(), r.virtual_hosts(0).domains().end());
  CHECK(domains == std::vector<std::string>{"web.shop.svc.cluster.local", "web.shop.svc.cluster.local:80",
                                            "web.shop.svc", "web.shop.svc:80", "web.shop", "web.shop:80", "web",
                                            "web:80", "10.78.0.10", "10.78.0.10:80", "*"});

  auto& text = files[3].content;
  text.replace(text.find("weight: 10"), 10, "weight: 0");
  const auto loaded = source.apply(files);
  REQUIRE(loaded.errors.empty());
  const auto after = translate(*loaded.model, client, {});
  r = message_of<RouteConfiguration>(*after, kRouteType, "web.shop.svc.cluster.local:80");
  CHECK(r.virtual_hosts(0).routes(0).route().cluster() == "outbound|80||web-stable.shop.svc.cluster.local");
  // A change of weights travels as one route and nothing else.
  CHECK(diff(before->of(kRouteType), after->of(kRouteType)).changed ==
        std::vector<std::string>{"web.shop.svc.cluster.local:80"});
  for (const auto& type : {kListenerType, kClusterType, kEndpointType}) {
    CHECK(before->version(type) == after->version(type));
  }
}

TEST_CASE("translate: the node's own zone is priority 0, and there are no gaps") {
  std::vector<SourceFile> files = shop_files();
  for (SourceFile& file : files) {
    const size_t at = file.content.find("mode: None");
    if (at != std::string::npos) file.content.replace(at, 10, "mode: PreferSameZone");
  }
  DirectorySource source;
  const auto model = source.apply(files).model;
  const std::string stable = "outbound|80||web-stable.shop.svc.cluster.local";
  struct Case {
    const char* zone;
    std::vector<int> priorities;  // of zone-a, zone-b
  };
  const std::vector<Case> cases = {{"zone-a", {0, 1}}, {"zone-b", {1, 0}}, {"zone-c", {0, 0}}, {"", {0, 0}}};
  for (const Case& c : cases) {
    CAPTURE(c.zone);
    const auto set = translate(*model, node("client", c.zone, ""), {});
    const auto cla = message_of<ClusterLoadAssignment>(*set, kEndpointType, stable);
    REQUIRE(cla.endpoints_size() == 2);
    CHECK(static_cast<int>(cla.endpoints(0).priority()) == c.priorities[0]);
    CHECK(static_cast<int>(cla.endpoints(1).priority()) == c.priorities[1]);
    CHECK(cla.endpoints(0).lb_endpoints_size() == 2);
    CHECK(cla.endpoints(0).load_balancing_weight().value() == 2);
  }
}

TEST_CASE("translate: mutual TLS names the service accounts exactly, and keys stay where they are") {
  const auto set = translate(*shop(), node("client", "zone-a", "10.77.1.10"), {});
  const auto c = message_of<Cluster>(*set, kClusterType, "outbound|80||web.shop.svc.cluster.local");
  REQUIRE(c.transport_socket_matches_size() == 2);
  CHECK(c.transport_socket_matches(0).match().fields().at("tlsMode").string_value() == "pillion");
  tls::UpstreamTlsContext context;
  REQUIRE(c.transport_socket_matches(0).transport_socket().typed_config().UnpackTo(&context));
  CHECK(context.sni() == "outbound_.80_._.web.shop.svc.cluster.local");
  const auto& common = context.common_tls_context();
  CHECK(common.alpn_protocols(0) == "h2");
  CHECK(common.tls_certificate_sds_secret_configs(0).name() == "default");
  CHECK(!common.tls_certificate_sds_secret_configs(0).has_sds_config());
  CHECK(common.combined_validation_context().validation_context_sds_secret_config().name() == "ROOTCA");
  const auto& sans = common.combined_validation_context().default_validation_context().match_typed_subject_alt_names();
  REQUIRE(sans.size() == 1);
  CHECK(sans[0].matcher().exact() == "spiffe://cluster.local/ns/shop/sa/web");

  NodeClass envoy = node("client", "zone-a", "10.77.1.10");
  envoy.tls_files = "/d";
  const auto of_envoy = translate(*shop(), envoy, {});
  const auto e = message_of<Cluster>(*of_envoy, kClusterType, c.name());
  REQUIRE(e.transport_socket_matches(0).transport_socket().typed_config().UnpackTo(&context));
  CHECK(context.common_tls_context().tls_certificates(0).private_key().filename() == "/d/current/key.pem");
  CHECK(context.common_tls_context().validation_context().trusted_ca().filename() == "/d/current/ca.pem");
}

namespace {

std::string spoken_to(const Cluster& cluster) {
  envoy::extensions::upstreams::http::v3::HttpProtocolOptions http;
  REQUIRE(cluster.typed_extension_protocol_options().begin()->second.UnpackTo(&http));
  if (http.has_auto_config()) return http.auto_config().has_http2_protocol_options() ? "agreed" : "wrong";
  if (http.has_use_downstream_protocol_config()) {
    return http.use_downstream_protocol_config().has_http2_protocol_options() ? "as received, carried" : "as received";
  }
  return http.explicit_http_config().has_http2_protocol_options() ? "http2" : "http1";
}

}  // namespace

TEST_CASE("translate: HTTP/1 is multiplexed between sidecars unless a policy says otherwise") {
  for (const auto& [port, upgrade, want] : {std::tuple{"name: http, ", "", "agreed"},
                                            {"name: http, ", "upgradeToHttp2: false", "http1"},
                                            {"", "", "as received, carried"},
                                            {"", "upgradeToHttp2: false", "as received"},
                                            {"name: grpc, ", "upgradeToHttp2: false", "http2"}}) {
    CAPTURE(port);
    CAPTURE(upgrade);
    const auto model = model_of(
        service_yaml("api",
                     "{clusterIP: 10.78.0.9, selector: {app: api}, ports: [{" + std::string(port) + "port: 80}]}") +
        pod_yaml("a", "api", "z", "10.77.0.2", true) +
        "---\napiVersion: pillion.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: api, namespace: shop}\nspec: "
        "{targetRefs: [{kind: Service, name: api}], connectionPool: {" +
        upgrade + "}}\n");
    const auto set = translate(*model, node("client", "", ""), {});
    CHECK(explained(*set) == "");
    CHECK(spoken_to(message_of<Cluster>(*set, kClusterType, "outbound|80||api.shop.svc.cluster.local")) == want);
  }
}

TEST_CASE("translate: endpoints without a sidecar get plain text, beside others that have one") {
  const std::string services =
      service_yaml("api", "{clusterIP: 10.78.0.9, selector: {app: api}, ports: [{name: http, port: 80}]}");
  struct Case {
    const char* name;
    bool first, second;
    int matches;
    const char* pillion;  // what a Pillion is told to speak
    const char* envoy;
  };
  static constexpr Case kCases[] = {{"none", false, false, 0, "http1", "http1"},
                                    {"one", true, false, 2, "agreed", "http1"},
                                    {"both", true, true, 2, "agreed", "http2"}};
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto model = model_of(services + pod_yaml("a", "api", "z", "10.77.0.2", c.first) +
                                pod_yaml("b", "api", "z", "10.77.0.3", c.second));
    const auto set = translate(*model, node("client", "", ""), {});
    CHECK(explained(*set) == "");
    const auto cluster = message_of<Cluster>(*set, kClusterType, "outbound|80||api.shop.svc.cluster.local");
    CHECK(cluster.transport_socket_matches_size() == c.matches);
    CHECK(spoken_to(cluster) == c.pillion);
    NodeClass envoy = node("client", "", "");
    envoy.tls_files = "/d";
    const auto of_envoy = translate(*model, envoy, {});
    CHECK(spoken_to(message_of<Cluster>(*of_envoy, kClusterType, cluster.name())) == c.envoy);
    const auto cla = message_of<ClusterLoadAssignment>(*set, kEndpointType, cluster.name());
    CHECK(cla.endpoints(0).lb_endpoints(0).has_metadata() == c.first);
    CHECK(cla.endpoints(0).lb_endpoints(1).has_metadata() == c.second);
  }
}

TEST_CASE("translate: inbound chains follow the mode and the port") {
  const std::string services =
      service_yaml("api",
                   "{selector: {app: api}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 81}, "
                   "{name: x, port: 82}]}") +
      pod_yaml("a", "api", "z", "10.77.0.2");
  auto mesh = [](const char* mode) {
    return std::string(
               "apiVersion: pillion.dev/v1alpha1\nkind: MeshPolicy\nmetadata: {name: m}\nspec: {mtls: {mode: ") +
           mode + "}}\n";
  };
  const NodeClass api = node("api", "z", "10.77.0.2");
  const auto strict = translate(*model_of(services + mesh("Strict")), api, {});
  const auto permissive = translate(*model_of(services + mesh("Permissive")), api, {});
  CHECK(explained(*strict) == "");
  CHECK(explained(*permissive) == "");
  auto l = message_of<Listener>(*strict, kListenerType, "virtualInbound");
  CHECK(chains(l) ==
        "virtualInbound-15006-blackhole virtualInbound-81-mtls-tcp virtualInbound-82-mtls-http "
        "virtualInbound-82-mtls-tcp "
        "virtualInbound-8080-mtls virtualInbound-other-mtls ");
  for (const auto& chain : l.filter_chains()) {
    CHECK(chain.has_transport_socket() == (chain.name() != "virtualInbound-15006-blackhole"));
  }
  Hcm hcm;
  REQUIRE(chain_of(l, "virtualInbound-8080-mtls")->filters(0).typed_config().UnpackTo(&hcm));
  CHECK(hcm.forward_client_cert_details() == Hcm::SANITIZE_SET);
  CHECK(hcm.set_current_client_cert_details().uri());

  l = message_of<Listener>(*permissive, kListenerType, "virtualInbound");
  CHECK(chains(l) ==
        "virtualInbound-15006-blackhole virtualInbound-81-mtls-tcp virtualInbound-81-plain-tcp "
        "virtualInbound-82-mtls-http "
        "virtualInbound-82-plain-http virtualInbound-82-mtls-tcp virtualInbound-82-plain-tcp virtualInbound-8080-mtls "
        "virtualInbound-8080-plain virtualInbound-other-plain ");
  CHECK(chain_of(l, "virtualInbound-81-mtls-tcp")->filter_chain_match().server_names(0) ==
        "outbound_.81_._.api.shop.svc.cluster.local");
  REQUIRE(chain_of(l, "virtualInbound-8080-plain")->filters(0).typed_config().UnpackTo(&hcm));
  CHECK(hcm.forward_client_cert_details() == Hcm::SANITIZE);
  for (const auto& set : {strict, permissive}) {
    const auto c = message_of<Cluster>(*set, kClusterType, "inbound|8080||");
    CHECK(c.load_assignment().endpoints(0).lb_endpoints(0).endpoint().address().socket_address().address() ==
          "10.77.0.2");
    CHECK(c.upstream_bind_config().source_address().address() == "127.0.0.6");
  }
}

TEST_CASE("translate: the inbound source address is of the family that a connection goes to") {
  struct Case {
    std::vector<std::string> ips;
    const char* source;
    const char* extra;
  };
  for (const Case& c : std::vector<Case>{{{"10.77.0.2"}, "127.0.0.6", ""},
                                         {{"fd77::2"}, "::6", ""},
                                         {{"10.77.0.2", "fd77::2"}, "127.0.0.6", "::6"},
                                         {{"fd77::2", "10.77.0.2"}, "::6", "127.0.0.6"}}) {
    CAPTURE(c.ips.front());
    NodeClass pod = node("web", "", "");
    pod.ips = c.ips;
    const auto set = translate(*shop(), pod, {});
    CHECK(explained(*set) == "");
    const auto bind = message_of<Cluster>(*set, kClusterType, "InboundPassthroughCluster").upstream_bind_config();
    CHECK(bind.source_address().address() == c.source);
    std::string extra;
    for (const auto& e : bind.extra_source_addresses()) extra += e.address().address();
    CHECK(extra == c.extra);
  }
}

TEST_CASE("translate: a headless service is one listener per pod, each reached by its own address") {
  const auto model =
      model_of(service_yaml("db", "{clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}]}") +
               pod_yaml("db-0", "db", "z", "10.77.0.2") + pod_yaml("db-1", "db", "z", "10.77.0.3", false));
  const auto set = translate(*model, node("client", "", ""), {});
  CHECK(explained(*set) == "");
  const auto direct = message_of<Cluster>(*set, kClusterType, "outbound|5432|direct|db.shop.svc.cluster.local");
  CHECK(direct.type() == Cluster::ORIGINAL_DST);
  CHECK(direct.has_transport_socket());
  auto target = [&set](const char* name) {
    const auto l = message_of<Listener>(*set, kListenerType, name);
    envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy proxy;
    REQUIRE(l.filter_chains(0).filters(0).typed_config().UnpackTo(&proxy));
    return proxy.cluster();
  };
  CHECK(target("10.77.0.2_5432") == direct.name());
  CHECK(target("10.77.0.3_5432") == "PassthroughCluster");
}

TEST_CASE("translate: routes stand in the Gateway API's order, and consumers replace producers") {
  const std::string yaml = service_yaml("web", "{clusterIP: 10.78.0.10, ports: [{name: http, port: 80}]}") +
                           R"(apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec:
  parentRefs: [{kind: Service, name: web}]
  rules:
    - name: all
      backendRefs: [{name: web, port: 80}]
    - name: long
      matches: [{path: {value: /a/b}}, {path: {value: /a}, method: GET}]
      filters:
        - type: RequestHeaderModifier
          requestHeaderModifier: {set: [{name: x-share, value: "50%"}], remove: [x-old]}
        - type: URLRewrite
          urlRewrite: {hostname: other, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}
      timeouts: {request: 3s, backendRequest: 1s}
      retry: {codes: [503], attempts: 4, backoff: 20ms}
      backendRefs: [{name: web, port: 80}]
    - name: exact
      matches: [{path: {type: Exact, value: /a}}]
      filters: [{type: RequestRedirect, requestRedirect: {scheme: https, port: 8443, statusCode: 308}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mine, namespace: lab}
spec:
  parentRefs: [{kind: Service, name: web, namespace: shop}]
  rules: [{name: consumer, backendRefs: [{name: web, namespace: shop, port: 80}]}]
)";
  const auto model = model_of(yaml);
  auto set = translate(*model, node("client", "", ""), {});
  CHECK(explained(*set) == "");
  auto r = message_of<RouteConfiguration>(*set, kRouteType, "web.shop.svc.cluster.local:80");
  const auto& routes = r.virtual_hosts(0).routes();
  REQUIRE(routes.size() == 4);
  CHECK(routes[0].name() == "shop/web/exact");
  CHECK(routes[0].redirect().port_redirect() == 8443);
  CHECK(routes[1].match().path_separated_prefix() == "/a/b");
  CHECK(routes[1].request_headers_to_add(0).header().value() == "50%%");
  CHECK(routes[1].request_headers_to_remove(0) == "x-old");
  CHECK(routes[1].route().regex_rewrite().pattern().regex() == "^/a/b/*");
  CHECK(routes[1].route().timeout().seconds() == 3);
  CHECK(routes[1].route().retry_policy().per_try_timeout().seconds() == 1);
  CHECK(routes[1].route().retry_policy().num_retries().value() == 4);
  CHECK(routes[1].route().retry_policy().retry_on().ends_with(",retriable-status-codes"));
  CHECK(routes[2].match().headers(0).name() == ":method");
  CHECK(routes[3].name() == "shop/web/all");

  NodeClass lab = node("client", "", "");
  lab.service_account.ns = "lab";
  set = translate(*model, lab, {});
  r = message_of<RouteConfiguration>(*set, kRouteType, "web.shop.svc.cluster.local:80");
  REQUIRE(r.virtual_hosts(0).routes_size() == 1);
  CHECK(r.virtual_hosts(0).routes(0).name() == "lab/mine/consumer");
}

TEST_CASE("translate: gRPC's own client finds a listener by the name of its target") {
  NodeClass grpc = node("client", "zone-a", "");
  grpc.kind = NodeClass::Kind::grpc;
  const auto set = translate(*shop(), grpc, {});
  const auto l = message_of<Listener>(*set, kListenerType, "orders.shop.svc.cluster.local:50051");
  Hcm hcm;
  REQUIRE(l.api_listener().api_listener().UnpackTo(&hcm));
  CHECK(hcm.rds().route_config_name() == l.name());
  CHECK(set->find(kRouteType, l.name()) != nullptr);
  const auto c = message_of<Cluster>(*set, kClusterType, "outbound|50051||orders.shop.svc.cluster.local");
  CHECK(c.lb_policy() == Cluster::ROUND_ROBIN);
  tls::UpstreamTlsContext context;
  REQUIRE(c.transport_socket().typed_config().UnpackTo(&context));
  CHECK(context.common_tls_context().tls_certificate_provider_instance().instance_name() == "default");
}

TEST_CASE("classify: the certificate decides, the node may only choose among its own pods") {
  const auto model = shop();
  envoy::config::core::v3::Node node;
  node.set_id("sidecar~10.77.2.13~web-3.shop~shop.svc.cluster.local");
  NodeClass c = classify(*model, {"shop", "web"}, "10.77.1.11", node);
  CHECK(c.ips == std::vector<std::string>{"10.77.2.13"});
  CHECK(c.zone == "zone-b");
  c = classify(*model, {"shop", "orders"}, "10.77.1.11", node);  // neither address is its own
  CHECK(c.ips.empty());
  node.set_id("x");
  c = classify(*model, {"shop", "web"}, "10.77.1.11", node);
  CHECK(c.ips == std::vector<std::string>{"10.77.1.11"});
  (*node.mutable_metadata()->mutable_fields())["POD_IP"].set_string_value("10.77.1.12");
  CHECK(classify(*model, {"shop", "web"}, "10.77.1.11", node).ips == std::vector<std::string>{"10.77.1.12"});
  node.mutable_locality()->set_zone("zone-x");
  CHECK(classify(*model, {"shop", "nobody"}, "10.77.1.11", node).zone == "zone-x");
  node.set_user_agent_name("gRPC C-core");
  CHECK(classify(*model, {"shop", "web"}, "", node).kind == NodeClass::Kind::grpc);
}
