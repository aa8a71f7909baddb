// The real Envoy, if it is there (make deps-test puts it into the cache), reads everything that the shop's nodes are
// served, as static resources of a bootstrap.
#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <google/protobuf/util/json_util.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "tests/unit/xds_control/support.h"

using namespace pillion;
using namespace pillion::xds;
using namespace pillion::xds::control;
using namespace pillion::xds::control::testing;

namespace {

namespace fs = std::filesystem;

std::string envoy_binary() {
  if (const char* given = std::getenv("PILLION_ENVOY")) return given;
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string cache = xdg != nullptr ? xdg : std::string(home != nullptr ? home : "") + "/.cache";
  return cache + "/pillion/envoy/envoy";
}

std::pair<int, std::string> run(const std::string& command) {
  std::string output;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 4096> buffer;
  while (size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return {pclose(pipe), output};
}

void write(const fs::path& path, const std::string& content) {
  std::ofstream out(path);
  out << content;
}

// RDS has no static form: the routes are put into the listeners that name them, so that Envoy judges them too.
void inline_routes(const ResourceSet& set, envoy::config::listener::v3::FilterChain& chain) {
  for (auto& filter : *chain.mutable_filters()) {
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager hcm;
    if (!filter.typed_config().UnpackTo(&hcm) || !hcm.has_rds()) continue;
    const std::string name = hcm.rds().route_config_name();
    auto routes = message_of<envoy::config::route::v3::RouteConfiguration>(set, kRouteType, name);
    routes.mutable_validate_clusters()->set_value(true);
    *hcm.mutable_route_config() = routes;
    *filter.mutable_typed_config() = pack(hcm);
  }
}

std::string bootstrap_of(const ResourceSet& set) {
  envoy::config::bootstrap::v3::Bootstrap bootstrap;
  bootstrap.mutable_node()->set_id("test");
  bootstrap.mutable_node()->set_cluster("test");
  auto& resources = *bootstrap.mutable_static_resources();
  for (const auto& [name, resource] : set.of(kListenerType)) {
    auto l = message_of<envoy::config::listener::v3::Listener>(set, kListenerType, name);
    for (auto& chain : *l.mutable_filter_chains()) inline_routes(set, chain);
    if (l.has_default_filter_chain()) inline_routes(set, *l.mutable_default_filter_chain());
    *resources.add_listeners() = l;
  }
  // EDS over a file: the assignments themselves are read when Envoy runs, the clusters now.
  for (const auto& [name, resource] : set.of(kClusterType)) {
    auto c = message_of<envoy::config::cluster::v3::Cluster>(set, kClusterType, name);
    if (c.type() == envoy::config::cluster::v3::Cluster::EDS) {
      c.set_type(envoy::config::cluster::v3::Cluster::STATIC);
      *c.mutable_load_assignment() =
          message_of<envoy::config::endpoint::v3::ClusterLoadAssignment>(set, kEndpointType, name);
      c.clear_eds_cluster_config();
    }
    *resources.add_clusters() = c;
  }
  std::string json;
  REQUIRE(google::protobuf::util::MessageToJsonString(bootstrap, &json).ok());
  return json;
}

const char* kExtra = R"(
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: tcp, port: 5432}, {name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: legacy, namespace: shop}
spec:
  clusterIP: 10.78.0.99
  selector: {app: legacy}
  ports: [{name: http, port: 80}, {name: any, port: 81}, {name: grpc, port: 82}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: legacy, namespace: shop}
spec:
  parentRefs: [{kind: Service, name: legacy, port: 80}]
  rules:
    - matches:
        - path: {value: /a}
          headers: [{type: RegularExpression, name: x, value: "a.*"}]
          queryParams: [{name: q, value: "1"}]
          method: GET
        - path: {type: RegularExpression, value: "/r[0-9]+"}
      filters:
        - {type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: x-a, value: "50%"}], remove: [x-b]}}
        - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: x-c, value: d}]}}
        - {type: RequestMirror, requestMirror: {backendRef: {name: legacy, port: 81}, percent: 5}}
        - {type: URLRewrite, urlRewrite: {hostname: h, path: {type: ReplaceFullPath, replaceFullPath: /x}}}
      backendRefs: [{name: legacy, port: 80}]
      retry: {codes: [500], attempts: 2, backoff: 1ms}
      timeouts: {request: 1s, backendRequest: 100ms}
    - matches: [{path: {value: /p}}]
      filters:
        - {type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}
      backendRefs:
        - {name: legacy, port: 80, weight: 2}
        - {name: legacy, port: 81, weight: 1, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}]}}]}
    - matches: [{path: {value: /old}}]
      filters:
        - type: RequestRedirect
          requestRedirect: {scheme: https, hostname: new, port: 444, statusCode: 307, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}
    - matches: [{path: {value: /none}}]
      backendRefs: [{name: legacy, port: 80, weight: 0}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: legacy, namespace: shop}
spec:
  parentRefs: [{kind: Service, name: legacy, port: 82}]
  rules:
    - matches: [{method: {service: shop.Orders, method: Get}}, {method: {service: shop.Orders}}, {method: {method: Any}}]
      backendRefs: [{name: legacy, port: 82}]
---
apiVersion: pillion.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: legacy, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: legacy}]
  loadBalancer: {policy: Random}
  outlierDetection: {consecutive5xx: 0, consecutiveGatewayErrors: 0, maxEjectionPercent: 30}
  circuitBreaker: {maxConnections: 1, maxPendingRequests: 1, maxRequests: 1}
  retryBudget: {percent: 12.5, minConcurrent: 1}
  retries: {attempts: 0}
  connectionPool:
    idleTimeout: 4s
    maxRequestsPerConnection: 10
    maxConcurrentStreams: 7
    tcpKeepalive: {time: 10s, interval: 1500ms, probes: 3}
---
apiVersion: pillion.dev/v1alpha1
kind: MeshPolicy
metadata: {name: shop, namespace: shop}
spec:
  mtls: {mode: Permissive}
  egress: {unknown: Deny}
  accessLog: {json: {code: "%RESPONSE_CODE%", peer: "%DOWNSTREAM_PEER_URI_SAN%"}}
)";

}  // namespace

TEST_CASE("envoy: accepts what the nodes are served") {
  const std::string envoy = envoy_binary();
  if (!fs::exists(envoy)) {
    MESSAGE("skipped: needs envoy (make deps-test)");
    return;
  }
  char dir_template[] = "/tmp/pillion-envoy-XXXXXX";
  const fs::path dir = mkdtemp(dir_template);
  fs::create_directories(dir / "tls/current");
  const auto [made, text] =
      run("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -days 1 -keyout " +
          (dir / "tls/current/key.pem").string() + " -out " + (dir / "tls/current/cert.pem").string());
  REQUIRE(made == 0);
  fs::copy(dir / "tls/current/cert.pem", dir / "tls/current/ca.pem");

  DirectorySource source;
  auto files = shop_files();
  files.push_back({"zz-extra.yaml", kExtra + ("---\n" + pod_yaml("db-0", "db", "zone-a", "10.77.3.1") +
                                              pod_yaml("db-1", "db", "zone-a", "10.77.3.2", false) +
                                              pod_yaml("legacy-0", "legacy", "zone-a", "10.77.3.3") +
                                              pod_yaml("legacy-1", "legacy", "zone-b", "10.77.3.4", false))});
  const auto loaded = source.apply(files);
  INFO(text_of(loaded.errors));
  REQUIRE(loaded.errors.empty());
  for (const char* who :
       {"client 10.77.1.10", "web 10.77.2.14", "nats 10.77.2.31", "legacy 10.77.3.3", "db 10.77.3.1"}) {
    CAPTURE(who);
    const std::string text_who = who;
    const size_t space = text_who.find(' ');
    NodeClass node;
    node.service_account = {"shop", text_who.substr(0, space)};
    node.zone = "zone-a";
    node.ips = {text_who.substr(space + 1)};
    node.tls_files = (dir / "tls").string();
    const auto set = translate(*loaded.model, node, {});
    write(dir / "bootstrap.json", bootstrap_of(*set));
    const auto [status, output] =
        run(envoy + " --mode validate --log-level warning -c " + (dir / "bootstrap.json").string());
    INFO(output);
    CHECK(status == 0);
    CHECK(output.find("deprecated") == std::string::npos);
  }
  fs::remove_all(dir);
}
