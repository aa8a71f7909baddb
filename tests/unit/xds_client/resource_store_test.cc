#include <doctest/doctest.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>

#include "xds/api/any.h"
#include "xds/api/yaml.h"
#include "xds/client/resource_store.h"

namespace pillion::xds::client {
namespace {

template <class Message>
Received resource(const std::string& yaml, const std::string& version = "1") {
  Message message;
  auto loaded = load_text(yaml, "test.yaml", message);
  REQUIRE(loaded);
  Received out;
  out.version = version;
  out.body.PackFrom(message);
  return out;
}

Received cluster(const std::string& name, const std::string& more = "connect_timeout: 1s", const char* version = "1") {
  return resource<envoy::config::cluster::v3::Cluster>(
      "name: " + name + "\ntype: EDS\neds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}}\n" + more,
      version);
}
Received endpoints(const std::string& name, int port = 80) {
  return resource<envoy::config::endpoint::v3::ClusterLoadAssignment>(
      "cluster_name: " + name +
      "\nendpoints: [{lb_endpoints: [{endpoint: {address: {socket_address: {address: 10.0.0.1, port_value: " +
      std::to_string(port) + "}}}}]}]");
}
Received listener(const std::string& name, const std::string& rds) {
  return resource<envoy::config::listener::v3::Listener>("name: " + name + R"(
address: {socket_address: {address: 127.0.0.1, port_value: 1}}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: x
      rds: {route_config_name: )" + rds + R"(, config_source: {ads: {}, resource_api_version: V3}}
      http_filters:
      - name: envoy.filters.http.router
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
)");
}
Received routes(const std::string& name, const std::string& to) {
  return resource<envoy::config::route::v3::RouteConfiguration>(
      "name: " + name +
      "\nvirtual_hosts: [{name: v, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: " + to + "}}]}]");
}

struct Fixture {
  ResourceStore store{std::make_shared<config::Snapshot>(), {}};
  Instant now = Instant(Duration(1'000'000));

  std::vector<ResourceError> give(std::string_view type, std::vector<Received> resources, bool full_state = false,
                                  std::vector<std::string> removed = {}) {
    Response response;
    response.type_url = type;
    response.version = "v";
    response.resources = std::move(resources);
    response.removed = std::move(removed);
    response.full_state = full_state;
    auto errors = store.apply(response, now, 0);
    for (const std::string_view t : {kEndpointType, kRouteType, kSecretType}) store.wanted(t, now);
    return errors;
  }
  config::SnapshotPtr build() { return store.build(now); }
};

TEST_CASE("resource_store: a new cluster is visible once its endpoints are, or after the fetch timeout") {
  Fixture f;
  CHECK(f.give(kClusterType, {cluster("a"), cluster("b")}).empty());
  CHECK(f.store.wanted(kEndpointType, f.now) == std::set<std::string>{"a", "b"});
  CHECK(f.build()->clusters.empty());
  f.give(kEndpointType, {endpoints("a")});
  CHECK(f.build()->clusters.size() == 1);
  REQUIRE(f.store.next_deadline());
  CHECK(*f.store.next_deadline() == f.now + kFetchTimeout);
  f.now += kFetchTimeout;
  CHECK(f.build()->clusters.size() == 2);
  CHECK_FALSE(f.store.next_deadline());
}

TEST_CASE("resource_store: an updated cluster takes the endpoints that are there, at once") {
  Fixture f;
  f.give(kClusterType, {cluster("a")});
  f.give(kEndpointType, {endpoints("a")});
  const auto before = f.build();
  f.give(kClusterType, {cluster("a", "connect_timeout: 9s", "2")});
  const auto after = f.build();
  CHECK(after != before);
  CHECK(after->clusters.at("a")->connect_timeout == Duration(9'000'000));
  CHECK(after->endpoints.at("a") == before->endpoints.at("a"));
}

TEST_CASE("resource_store: what is good is used, what is bad is named and keeps its last good version") {
  Fixture f;
  f.give(kClusterType, {cluster("a"), cluster("b")});
  f.give(kEndpointType, {endpoints("a"), endpoints("b")});
  f.build();
  const auto errors =
      f.give(kClusterType,
             {cluster("a", "connect_timeout: 7s", "2"), cluster("b", "connect_timeout: -1s", "2"), cluster("c")}, true);
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].name == "b");
  CHECK(errors[0].reason.find("connect_timeout") != std::string::npos);
  const auto snapshot = f.build();
  CHECK(snapshot->clusters.at("a")->connect_timeout == Duration(7'000'000));
  CHECK(snapshot->clusters.at("b")->connect_timeout == Duration(1'000'000));
  CHECK(f.store.states(kClusterType).at("b").version == "1");
  CHECK(f.store.states(kClusterType).at("b").rejected_version == "2");
  CHECK(f.store.resource_versions(kClusterType).at("b") == "1");
}

TEST_CASE("resource_store: the same content again changes nothing, not even the pointer") {
  Fixture f;
  f.give(kClusterType, {cluster("a")});
  f.give(kEndpointType, {endpoints("a")});
  const auto before = f.build();
  f.give(kClusterType, {cluster("a")});
  f.give(kEndpointType, {endpoints("a")});
  CHECK(f.build() == before);
}

TEST_CASE("resource_store: a listener waits for its routes, and routes for the clusters they name") {
  Fixture f;
  f.give(kListenerType, {listener("l", "r")});
  CHECK(f.store.wanted(kRouteType, f.now) == std::set<std::string>{"r"});
  CHECK(f.build()->listeners.empty());
  f.give(kClusterType, {cluster("a")});
  f.give(kRouteType, {routes("r", "a")});
  CHECK(f.build()->listeners.empty());  // the cluster is known and still cold
  CHECK_FALSE(f.store.is_complete());
  f.give(kEndpointType, {endpoints("a")});
  const auto whole = f.build();
  CHECK(whole->listeners.size() == 1);
  CHECK(whole->routes.size() == 1);
  CHECK(f.store.is_complete());
  // A table that names a cluster nobody announced is held for a while, then used: the old one serves until then.
  f.give(kRouteType, {routes("r", "unknown")});
  CHECK(f.build()->routes.at("r") == whole->routes.at("r"));
  f.now += kRouteHold;
  CHECK(f.build()->routes.at("r") != whole->routes.at("r"));
}

TEST_CASE("resource_store: full state removes what is absent; endpoints end with the clusters that name them") {
  Fixture f;
  f.give(kClusterType, {cluster("a"), cluster("b")}, true);
  f.give(kEndpointType, {endpoints("a"), endpoints("b")});
  CHECK(f.build()->endpoints.size() == 2);
  f.give(kEndpointType, {endpoints("a", 81)});  // says nothing about b
  CHECK(f.build()->endpoints.size() == 2);
  f.give(kClusterType, {cluster("a")}, true);
  CHECK(f.build()->clusters.size() == 1);
  CHECK(f.build()->endpoints.size() == 1);
  f.give(kClusterType, {}, false, {"a"});
  CHECK(f.build()->clusters.empty());
}

TEST_CASE("resource_store: a name that stands twice in a response is refused") {
  Fixture f;
  const auto errors = f.give(kClusterType, {cluster("a"), cluster("a")});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].name == "a");
}

TEST_CASE("resource_store: a secret from elsewhere is part of the snapshot") {
  Fixture f;
  auto material = std::make_shared<TlsMaterial>();
  f.store.set_secret("default", material);
  CHECK(f.build()->secrets.at("default") == material);
}

}  // namespace
}  // namespace pillion::xds::client
