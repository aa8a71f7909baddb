#include <doctest/doctest.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/tls.pb.h>

#include "proxy/base/random.h"
#include "tests/unit/net/tls_pki.h"
#include "xds/api/any.h"
#include "xds/api/yaml.h"
#include "xds/client/resource_store.h"

namespace pillion::xds::client {
namespace {

constexpr Duration kFetchTimeout{15'000'000};  // where the resource says nothing

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
Received listener(const std::string& name, const std::string& rds, const std::string& timeout = {}) {
  return resource<envoy::config::listener::v3::Listener>("name: " + name + R"(
address: {socket_address: {address: 127.0.0.1, port_value: 1}}
filter_chains:
- filters:
  - name: envoy.filters.network.http_connection_manager
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
      stat_prefix: x
      rds: {route_config_name: )" + rds + R"(, config_source: {ads: {}, resource_api_version: V3)" +
                                                         timeout + R"(}}
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

// === TLS ===

using CommonTls = envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using Secret = envoy::extensions::transport_sockets::tls::v3::Secret;

const net::test::Authority& root() {
  static const net::test::Authority root("root");
  return root;
}

CommonTls common(const std::string& yaml) {
  CommonTls out;
  REQUIRE(load_text(yaml, "test.yaml", out));
  return out;
}
CommonTls with_certificate(const std::string& chain, const std::string& key) {
  CommonTls out;
  auto& certificate = *out.add_tls_certificates();
  certificate.mutable_certificate_chain()->set_inline_string(chain);
  certificate.mutable_private_key()->set_inline_string(key);
  return out;
}
Received pack(const google::protobuf::Message& message, const char* version = "1") {
  Received out;
  out.version = version;
  out.body.PackFrom(message);
  return out;
}
// A TCP listener with TLS on its second chain; a static cluster with TLS on what matches a label.
Received tls_listener(const CommonTls& tls, const char* version = "1") {
  envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext context;
  *context.mutable_common_tls_context() = tls;
  Received received = resource<envoy::config::listener::v3::Listener>(R"(
name: l
address: {socket_address: {address: 127.0.0.1, port_value: 1}}
filter_chains:
- filter_chain_match: {transport_protocol: raw_buffer}
  filters:
  - name: t
    typed_config:
      "@type": type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy
      stat_prefix: x
      cluster: a
)");
  envoy::config::listener::v3::Listener message;
  REQUIRE(received.body.UnpackTo(&message));
  auto& chain = *message.add_filter_chains();
  chain = message.filter_chains(0);
  chain.mutable_filter_chain_match()->set_transport_protocol("tls");
  auto& socket = *chain.mutable_transport_socket();
  socket.set_name("tls");
  socket.mutable_typed_config()->PackFrom(context);
  return pack(message, version);
}
Received tls_cluster(const CommonTls& tls, const char* version = "1") {
  envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext context;
  *context.mutable_common_tls_context() = tls;
  envoy::config::cluster::v3::Cluster message;
  message.set_name("c");
  auto& match = *message.add_transport_socket_matches();
  match.set_name("m");
  match.mutable_transport_socket()->set_name("tls");
  match.mutable_transport_socket()->mutable_typed_config()->PackFrom(context);
  return pack(message, version);
}
Received certificate(const std::string& name, const std::string& chain, const std::string& key) {
  Secret message;
  message.set_name(name);
  message.mutable_tls_certificate()->mutable_certificate_chain()->set_inline_string(chain);
  message.mutable_tls_certificate()->mutable_private_key()->set_inline_string(key);
  return pack(message);
}
Received roots(const std::string& name, const std::string& pem) {
  Secret message;
  message.set_name(name);
  message.mutable_validation_context()->mutable_trusted_ca()->set_inline_string(pem);
  return pack(message);
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
  CHECK(*f.store.wanted(kEndpointType, f.now) == std::set<std::string>{"a", "b"});
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
  CHECK(after->clusters.get("a")->connect_timeout == Duration(9'000'000));
  CHECK(after->endpoints.get("a") == before->endpoints.get("a"));
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
  CHECK(snapshot->clusters.get("a")->connect_timeout == Duration(7'000'000));
  CHECK(snapshot->clusters.get("b")->connect_timeout == Duration(1'000'000));
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

TEST_CASE("resource_store: who changes without referring to anything else leaves what is wanted as it was") {
  Fixture f;
  f.give(kClusterType, {cluster("a"), cluster("b")});
  f.give(kEndpointType, {endpoints("a"), endpoints("b")});
  f.build();
  const NamesPtr before = f.store.wanted(kEndpointType, f.now);
  f.give(kClusterType, {cluster("a", "connect_timeout: 9s", "2")});
  f.build();
  f.give(kEndpointType, {endpoints("b", 81)});
  f.build();
  CHECK(f.store.wanted(kEndpointType, f.now) == before);
  f.give(kEndpointType, {endpoints("stranger")});
  CHECK(f.store.wanted(kEndpointType, f.now) == before);
  CHECK(f.build()->endpoints.size() == 2);
  f.give(kClusterType, {}, false, {"a"});
  CHECK(*f.store.wanted(kEndpointType, f.now) == std::set<std::string>{"b"});
  CHECK(f.build()->endpoints.size() == 1);
}

// What there is in the end does not depend on how it came, change by change or all at once.
TEST_CASE("resource_store: many changes one by one come to the same as their sum") {
  using Model = std::map<std::string, Received>;
  constexpr std::string_view kTypes[] = {kClusterType, kEndpointType, kListenerType, kRouteType};
  const auto names_of = [](const auto& table) {
    std::map<std::string, uint64_t> out;
    for (const auto& [name, value] : table) {
      if constexpr (requires { value->hash; }) {
        out[name] = value->hash;
      } else {
        out[name] = 0;
      }
    }
    return out;
  };
  const auto settle = [](Fixture& f) {
    f.now += Duration(100'000'000);
    for (int i = 0; i < 3; ++i) {
      f.build();
      for (const std::string_view t : {kEndpointType, kRouteType}) f.store.wanted(t, f.now);
    }
    return f.build();
  };
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Fixture f;
    std::map<std::string_view, Model> models;
    for (int step = 0; step < 200; ++step) {
      const std::string_view type = kTypes[random.below(4)];
      const std::string number = std::to_string(random.below(5));
      const std::string other = std::to_string(random.below(5));
      std::string name;
      Received made;
      if (type == kClusterType) {
        name = "c" + number;
        made = cluster(name, "connect_timeout: " + other + "1s");
        if (random.below(2) == 0) {
          made = resource<envoy::config::cluster::v3::Cluster>(
              "name: " + name +
              "\ntype: EDS\neds_cluster_config: {eds_config: {ads: {}, resource_api_version: V3}, service_name: e" +
              other + "}");
        }
      } else if (type == kEndpointType) {
        name = (random.below(2) == 0 ? "c" : "e") + number;
        made = endpoints(name, 80 + static_cast<int>(random.below(5)));
      } else if (type == kListenerType) {
        name = "l" + number;
        made = listener(name, "r" + other);
      } else {
        name = "r" + number;
        made = routes(name, "c" + other);
      }
      if (random.below(4) == 0) {
        f.give(type, {}, false, {name});
        models[type].erase(name);
      } else {
        models[type].insert_or_assign(name, made);
        f.give(type, {std::move(made)});
      }
      for (const std::string_view t : {kEndpointType, kRouteType}) {
        std::erase_if(models[t], [&](const auto& one) { return !f.store.wanted(t, f.now)->contains(one.first); });
      }
      if (random.below(3) > 0) f.build();
      f.now += Duration(static_cast<int64_t>(random.below(3'000'000)));
      for (const std::string_view t : {kEndpointType, kRouteType}) f.store.wanted(t, f.now);
      for (const std::string_view t : {kEndpointType, kRouteType}) {
        std::erase_if(models[t], [&](const auto& one) { return !f.store.wanted(t, f.now)->contains(one.first); });
      }
    }
    Fixture fresh;
    for (const std::string_view type : {kClusterType, kListenerType, kEndpointType, kRouteType}) {
      std::vector<Received> all;
      for (const auto& [name, received] : models[type]) all.push_back(received);
      fresh.give(type, std::move(all));
    }
    const auto have = settle(f);
    const auto want = settle(fresh);
    CHECK(names_of(have->clusters) == names_of(want->clusters));
    CHECK(names_of(have->endpoints) == names_of(want->endpoints));
    CHECK(names_of(have->listeners) == names_of(want->listeners));
    CHECK(names_of(have->routes) == names_of(want->routes));
    for (const std::string_view t : {kEndpointType, kRouteType}) {
      CHECK(*f.store.wanted(t, f.now) == *fresh.store.wanted(t, fresh.now));
    }
  }
}

TEST_CASE("resource_store: a listener waits for its routes, and routes for the clusters they name") {
  Fixture f;
  f.give(kListenerType, {listener("l", "r")});
  CHECK(*f.store.wanted(kRouteType, f.now) == std::set<std::string>{"r"});
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
  CHECK(f.build()->routes.get("r") == whole->routes.get("r"));
  f.now += kRouteHold;
  CHECK(f.build()->routes.get("r") != whole->routes.get("r"));
}

TEST_CASE("resource_store: what serves while its successor warms keeps what it needs, and no longer") {
  const auto one = root().issue({.sans = "DNS:one.test"});
  const auto named = [](const char* name) {
    return common("{tls_certificate_sds_secret_configs: [{name: " + std::string(name) + ", sds_config: {ads: {}}}]}");
  };
  const auto by_service = [](const std::string& service) {
    return resource<envoy::config::cluster::v3::Cluster>(
        "{name: a, type: EDS, eds_cluster_config: {service_name: " + service + ", eds_config: {ads: {}}}}");
  };
  Fixture f;
  f.give(kClusterType, {by_service("e1")});
  f.give(kEndpointType, {endpoints("e1")});
  f.give(kListenerType, {listener("h", "r1"), tls_listener(named("s1"))});
  f.give(kRouteType, {routes("r1", "a")});
  f.give(kSecretType, {certificate("s1", one->cert_chain, one->private_key)});
  const auto before = f.build();
  REQUIRE(before->listeners.size() == 2);
  f.give(kClusterType, {by_service("e2")});
  f.give(kListenerType, {listener("h", "r2"), tls_listener(named("s2"), "2")});
  const auto between = f.build();
  CHECK(between->listeners == before->listeners);
  CHECK(between->clusters == before->clusters);
  CHECK(between->endpoints.contains("e1"));
  CHECK(between->routes.contains("r1"));
  CHECK(between->secrets.contains("s1"));
  CHECK(*f.store.wanted(kRouteType, f.now) == std::set<std::string>{"r1", "r2"});
  f.give(kEndpointType, {endpoints("e2")});
  f.give(kRouteType, {routes("r2", "a")});
  f.give(kSecretType, {certificate("s2", one->cert_chain, one->private_key)});
  CHECK(f.build()->listeners.get("h") != before->listeners.get("h"));
  CHECK(f.store.has_let_go());
  CHECK(*f.store.wanted(kEndpointType, f.now) == std::set<std::string>{"e2"});
  CHECK(*f.store.wanted(kRouteType, f.now) == std::set<std::string>{"r2"});
  CHECK(*f.store.wanted(kSecretType, f.now) == std::set<std::string>{"s2"});
  const auto after = f.build();
  CHECK_FALSE(f.store.has_let_go());
  CHECK(after->endpoints.size() == 1);
  CHECK(after->routes.size() == 1);
  CHECK(after->secrets.size() == 1);
}

TEST_CASE("resource_store: each resource is waited for as long as its initial_fetch_timeout says; zero is for ever") {
  // What needs something, with a timeout, under the name that it has in the snapshot.
  const auto eds = [](const std::string& timeout) {
    return resource<envoy::config::cluster::v3::Cluster>(
        "{name: x, type: EDS, eds_cluster_config: {eds_config: {ads: {}" + timeout + "}}}");
  };
  const auto sds = [](const std::string& timeout) {
    return tls_cluster(
        common("{validation_context_sds_secret_config: {name: s, sds_config: {ads: {}" + timeout + "}}}"));
  };
  struct Case {
    const char* field;
    Duration want;
  };
  for (const Case& c : {Case{"", kFetchTimeout}, Case{", initial_fetch_timeout: 3s", Duration(3'000'000)},
                        Case{", initial_fetch_timeout: 60s", Duration(60'000'000)},
                        Case{", initial_fetch_timeout: 0s", Duration::zero()}}) {
    CAPTURE(c.field);
    for (const bool is_eds : {true, false}) {
      CAPTURE(is_eds);
      Fixture f;
      REQUIRE(f.give(kClusterType, {is_eds ? eds(c.field) : sds(c.field)}).empty());
      f.give(kListenerType, {listener("l", "r", c.field)});
      CHECK(f.build()->clusters.empty());
      CHECK_FALSE(f.store.is_complete());
      if (c.want == Duration::zero()) {
        CHECK_FALSE(f.store.next_deadline());
        f.now += Duration(3'600'000'000);
        f.give(kEndpointType, {});
        CHECK(f.build()->clusters.empty());
        CHECK(f.build()->listeners.empty());
        CHECK_FALSE(f.store.is_complete());
        continue;
      }
      REQUIRE(f.store.next_deadline());
      CHECK(*f.store.next_deadline() == f.now + c.want);
      f.now += c.want - Duration(1);
      CHECK(f.build()->clusters.empty());
      f.now += Duration(1);
      CHECK(f.build()->clusters.size() == 1);
      CHECK(f.build()->listeners.size() == 1);
      CHECK(f.store.is_complete());
    }
  }
}

TEST_CASE("resource_store: files with secrets are wanted by whoever is accepted, and waited for") {
  const auto one = root().issue({.sans = "DNS:one.test"});
  const auto in_file = [](const char* path) {
    return common("{tls_certificate_sds_secret_configs: [{name: s, sds_config: {path_config_source: {path: " +
                  std::string(path) + ", watched_directory: {path: /etc}}}}]}");
  };
  Fixture f;
  CHECK(f.store.wanted_files().empty());
  REQUIRE(f.give(kClusterType, {tls_cluster(in_file("/a.yaml"))}).empty());
  REQUIRE(f.give(kListenerType, {tls_listener(in_file("/b.yaml"))}).empty());
  FileWishes want;
  want["/a.yaml"] = {{{"s", {"cluster c", ""}}}, {"/etc"}};
  want["/b.yaml"] = {{{"s", {"listener l", ""}}}, {"/etc"}};
  CHECK(f.store.wanted_files() == want);
  CHECK(f.store.wanted(kSecretType, f.now)->empty());
  CHECK(f.build()->clusters.empty());
  REQUIRE(f.store.next_deadline());
  CHECK(*f.store.next_deadline() == f.now + kFetchTimeout);
  f.now += Duration(1'000'000);
  f.give(kEndpointType, {});
  f.store.set_secret("/a.yaml#s", one);  // the same name in another file is another secret
  CHECK(f.build()->clusters.contains("c"));
  CHECK(f.build()->listeners.empty());
  CHECK(*f.store.next_deadline() == f.now - Duration(1'000'000) + kFetchTimeout);
  f.now += kFetchTimeout - Duration(1'000'000);
  CHECK(f.build()->listeners.contains("l"));
  REQUIRE(f.give(kClusterType, {}, false, {"c"}).empty());
  want.erase("/a.yaml");
  CHECK(f.store.wanted_files() == want);
  CHECK(f.build()->secrets.contains("/a.yaml#s"));  // the one who watches the file removes it
  f.store.remove_secret("/a.yaml#s");
  CHECK(f.build()->secrets.empty());
  // Statics count as well.
  auto statics = std::make_shared<config::Snapshot>();
  statics->listeners = f.build()->listeners;
  CHECK(ResourceStore(statics, {}).wanted_files() == want);
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

TEST_CASE("resource_store: full state with something unreadable removes nothing, since that may be anything") {
  Fixture f;
  f.give(kClusterType, {cluster("a"), cluster("b")}, true);
  f.give(kEndpointType, {endpoints("a"), endpoints("b")});
  REQUIRE(f.build()->clusters.size() == 2);
  Received unreadable = cluster("b");
  unreadable.name.clear();
  unreadable.body.set_value("\xff\xff\xff\xff");
  CHECK(f.give(kClusterType, {cluster("a"), unreadable}, true).size() == 1);
  CHECK(f.build()->clusters.size() == 2);
}

TEST_CASE("resource_store: a response that sends a name and removes it is refused, and the name stays") {
  Fixture f;
  f.give(kClusterType, {cluster("a")}, true);
  f.give(kEndpointType, {endpoints("a")});
  REQUIRE(f.build()->clusters.size() == 1);
  Received again = cluster("a", "connect_timeout: 2s", "2");
  again.name = "a";
  const auto errors = f.give(kClusterType, {again}, false, {"a"});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].name == "a");
  CHECK(f.build()->clusters.size() == 1);
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
  CHECK(f.build()->secrets.get("default") == material);
}

// === what the TLS library refuses ===

TEST_CASE("resource_store: a TLS context that the library refuses is refused with its field; the last good one stays") {
  const auto one = root().issue({.sans = "DNS:one.test"}), two = root().issue({.sans = "DNS:two.test"});
  const std::string in_chain = "filter_chains[1].transport_socket.typed_config.common_tls_context.";
  const std::string in_match = "transport_socket_matches[0].transport_socket.typed_config.common_tls_context.";
  const CommonTls good = with_certificate(one->cert_chain, one->private_key);
  CommonTls second = good;
  second.MergeFrom(with_certificate(two->cert_chain, one->private_key));
  CommonTls mixed = common("{tls_certificate_sds_secret_configs: [{name: later, sds_config: {ads: {}}}]}");
  mixed.mutable_tls_params()->add_ecdh_curves("P-257");
  CommonTls trust = good;
  trust.mutable_validation_context()->mutable_trusted_ca()->set_inline_string("SECRET");
  struct Case {
    const char* name;
    CommonTls tls;
    const char* want;
  };
  const Case cases[] = {
      {"a foreign key", with_certificate(one->cert_chain, two->private_key),
       "tls_certificates[0]: the key does not belong to the certificate"},
      {"a second certificate", second, "tls_certificates[1]: the key does not belong to the certificate"},
      {"no PEM", with_certificate("SECRET", "SECRET"), "tls_certificates[0]: there is no certificate in the chain"},
      {"half a PEM", with_certificate(one->cert_chain.substr(0, 200), one->private_key),
       "tls_certificates[0]: there is no certificate in the chain"},
      {"a key that is none", with_certificate(one->cert_chain, "SECRET"),
       "tls_certificates[0]: the private key cannot be read"},
      {"roots that are none", trust, "validation_context.trusted_ca: there is no certificate in it"},
      {"a curve, while the certificate is on its way", mixed, "tls_params.ecdh_curves: \"P-257\" has a curve"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Fixture f;
    REQUIRE(f.give(kListenerType, {tls_listener(good)}).empty());
    const auto before = f.build();
    REQUIRE(before->listeners.contains("l"));
    const auto errors = f.give(kListenerType, {tls_listener(c.tls, "2")}, true);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0].name == "l");
    CAPTURE(errors[0].reason);
    CHECK(errors[0].reason.starts_with(in_chain + c.want));
    CHECK_FALSE(errors[0].reason.contains("SECRET"));
    CHECK(f.build()->listeners.get("l") == before->listeners.get("l"));
    CHECK(f.store.states(kListenerType).at("l").rejected_version == "2");
  }
  Fixture f;
  REQUIRE(f.give(kClusterType, {tls_cluster(good)}).empty());
  const auto before = f.build();
  CommonTls ciphers = good;
  ciphers.mutable_tls_params()->add_cipher_suites("NOT-A-CIPHER");
  const auto errors = f.give(kClusterType, {tls_cluster(ciphers, "2")});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].name == "c");
  CHECK(errors[0].reason == in_match + "tls_params.cipher_suites: no cipher of \"NOT-A-CIPHER\" is known");
  CHECK(f.build()->clusters.get("c") == before->clusters.get("c"));
}

TEST_CASE("resource_store: a secret that the TLS library refuses is refused, and the last good one stays") {
  const auto one = root().issue({.sans = "DNS:one.test"}), two = root().issue({.sans = "DNS:two.test"});
  Fixture f;
  REQUIRE(f.give(kListenerType, {tls_listener(common("{tls_certificate_sds_secret_configs: [{name: s, sds_config: "
                                                     "{ads: {}}}], validation_context_sds_secret_config: {name: r, "
                                                     "sds_config: {ads: {}}}}"))})
              .empty());
  REQUIRE(f.give(kSecretType, {certificate("s", one->cert_chain, one->private_key), roots("r", root().pem())}).empty());
  const auto before = f.build();
  REQUIRE(before->listeners.contains("l"));
  const auto errors = f.give(kSecretType, {certificate("s", two->cert_chain, one->private_key), roots("r", "SECRET")});
  REQUIRE(errors.size() == 2);
  CHECK(errors[0].name == "s");
  CHECK(errors[0].reason == "tls_certificate: the key does not belong to the certificate");
  CHECK(errors[1].name == "r");
  CHECK(errors[1].reason == "validation_context.trusted_ca: there is no certificate in it");
  CHECK(f.build()->secrets == before->secrets);
  CHECK(f.give(kSecretType, {certificate("s", two->cert_chain, two->private_key)}).empty());
  CHECK(f.build()->secrets.get("s")->cert_chain == two->cert_chain);
}

TEST_CASE("resource_store: a secret of the wrong kind is told with who wants what, whichever comes first") {
  const auto one = root().issue({.sans = "DNS:one.test"});
  const CommonTls as_certificate = common("{tls_certificate_sds_secret_configs: [{name: s, sds_config: {ads: {}}}]}");
  const CommonTls as_trust = common("{validation_context_sds_secret_config: {name: s, sds_config: {ads: {}}}}");
  Fixture f;
  REQUIRE(f.give(kListenerType, {tls_listener(as_certificate)}).empty());
  auto errors = f.give(kSecretType, {roots("s", root().pem())});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].name == "s");
  CHECK(errors[0].reason ==
        "validation_context: does not fit its use: listener l wants a tls_certificate of this name");
  // The name is put right where it is used, not in the secret: the server sends nothing again.
  REQUIRE(f.give(kClusterType, {tls_cluster(as_trust)}).empty());
  REQUIRE(f.give(kListenerType, {}, false, {"l"}).empty());
  CHECK(f.build()->clusters.contains("c"));
  CHECK(f.build()->secrets.get("s")->trust_bundle == root().pem());

  errors = f.give(kListenerType, {tls_listener(as_certificate, "2")});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].reason ==
        "filter_chains[1].transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0]: the "
        "secret s is a validation_context, and a tls_certificate is wanted here");
  errors = f.give(kSecretType, {certificate("s", one->cert_chain, one->private_key)});
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].reason == "tls_certificate: does not fit its use: cluster c wants a validation_context of this name");
  CHECK(f.build()->secrets.get("s")->trust_bundle == root().pem());
}

TEST_CASE("tls_check: the faults of a bootstrap, one for each context and secret") {
  const auto one = root().issue({.sans = "DNS:one.test"}), two = root().issue({.sans = "DNS:two.test"});
  auto half = std::make_shared<TlsMaterial>();
  half->cert_chain = one->cert_chain;
  half->private_key = two->private_key;
  config::Snapshot config;
  config.secrets.insert_or_assign("bad", half);
  config.secrets.insert_or_assign("roots", root().trust());
  auto tls = std::make_shared<config::TlsContext>();
  tls->certificates.emplace_back().name = "bad";
  tls->certificates.emplace_back().name = "roots";
  auto trusting = std::make_shared<config::TlsContext>();
  trusting->certificates.emplace_back().material = half;
  auto listener = std::make_shared<config::Listener>();
  listener->chains.emplace_back().tls = tls;
  listener->default_chain.emplace().tls = trusting;
  config.listeners.insert_or_assign("web", listener);
  const std::string context = "transport_socket.typed_config.common_tls_context.";
  CHECK(tls_faults(config) ==
        std::vector<std::string>{
            "secret bad: tls_certificate: the key does not belong to the certificate",
            "listener web: filter_chains[0]." + context +
                "tls_certificate_sds_secret_configs[1]: the secret roots is a validation_context, and a "
                "tls_certificate is wanted here",
            "listener web: default_filter_chain." + context +
                "tls_certificates[0]: the key does not belong to the certificate"});
}

}  // namespace
}  // namespace pillion::xds::client
