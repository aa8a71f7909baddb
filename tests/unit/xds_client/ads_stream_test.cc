// The client's state machine against the server's (xds/control), both kinds of the protocol, without I/O.
#include <doctest/doctest.h>
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>

#include <algorithm>

#include "xds/api/any.h"
#include "xds/client/ads_stream.h"
#include "xds/control/ads_session.h"

namespace pillion::xds::client {
namespace {

using control::AdsSession;
using control::ResourceSet;

std::string node() {
  envoy::config::core::v3::Node n;
  n.set_id("test");
  return n.SerializeAsString();
}

std::shared_ptr<ResourceSet> resources(std::initializer_list<const char*> clusters, double timeout_s = 1) {
  auto set = std::make_shared<ResourceSet>();
  for (const char* name : clusters) {
    envoy::config::cluster::v3::Cluster cluster;
    cluster.set_name(name);
    cluster.mutable_connect_timeout()->set_seconds(static_cast<int64_t>(timeout_s));
    set->add(kClusterType, name, cluster);
    envoy::config::endpoint::v3::ClusterLoadAssignment load;
    load.set_cluster_name(name);
    set->add(kEndpointType, name, load);
  }
  envoy::config::listener::v3::Listener listener;
  listener.set_name("l");
  set->add(kListenerType, "l", listener);
  return set;
}

// One stream between the two, and what the client was sent.
struct Pair {
  Pair(Mode mode, std::shared_ptr<const ResourceSet> set)
      : client(AdsStream::make(mode, node())),
        server(AdsSession::make(mode == Mode::delta ? AdsSession::Mode::delta : AdsSession::Mode::sotw,
                                {.resend_endpoints = false})) {
    server->set_resources(std::move(set));
  }

  // Passes messages until both are silent. `refuse` names a resource that the client cannot use.
  void run(const std::string& refuse = {}) {
    for (int round = 0; round < 100; ++round) {
      bool moved = false;
      while (auto request = client->pull()) {
        REQUIRE(server->on_message(*request));
        moved = true;
      }
      while (auto bytes = server->pull(now)) {
        auto response = client->on_message(*bytes);
        REQUIRE(response);
        std::vector<ResourceError> errors;
        for (const Received& r : response->resources) {
          std::string name = r.name;
          if (name.empty()) {
            auto message = unpack_message(r.body);
            REQUIRE(message);
            const auto* field = (*message)->GetDescriptor()->FindFieldByNumber(1);
            name = (*message)->GetReflection()->GetString(**message, field);
          }
          received.push_back(std::string(type_name(response->type_url)).substr(13, 7) + " " + name);
          if (name == refuse) errors.push_back({name, "connect_timeout: no"});
          versions[response->type_url][name] = r.version;
        }
        for (const std::string& name : response->removed) {
          received.push_back("removed " + name);
          versions[response->type_url].erase(name);
        }
        type_versions[response->type_url] = response->version;
        client->acknowledge(*response, errors);
        if (response->type_url == kClusterType) {
          std::set<std::string> names;
          for (const Received& r : response->resources) {
            envoy::config::cluster::v3::Cluster c;
            REQUIRE(r.body.UnpackTo(&c));
            names.insert(c.name());
          }
          wanted.merge(names);
          client->want(kEndpointType, std::make_shared<const std::set<std::string>>(wanted));
        }
        moved = true;
      }
      if (!moved) return;
    }
    FAIL("the two never fell silent");
  }

  size_t count(std::string_view what) const {
    return static_cast<size_t>(std::count(received.begin(), received.end(), what));
  }

  std::unique_ptr<AdsStream> client;
  std::unique_ptr<AdsSession> server;
  Instant now{};
  std::set<std::string> wanted;
  std::vector<std::string> received;
  std::map<std::string, std::map<std::string, std::string>> versions;
  std::map<std::string, std::string> type_versions;
};

constexpr Mode kModes[] = {Mode::sotw, Mode::delta};

TEST_CASE("ads_stream: a first stream receives everything once, clusters before endpoints before listeners") {
  for (const Mode mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    Pair pair(mode, resources({"a", "b"}));
    pair.client->want_all(kClusterType);
    pair.client->want_all(kListenerType);
    pair.run();
    CHECK(pair.server->settled());
    REQUIRE(pair.received.size() == 5);
    CHECK(pair.received[0].find("cluster a") != std::string::npos);
    CHECK(pair.received[1].find("cluster b") != std::string::npos);
    CHECK(pair.received.back().find("l") != std::string::npos);
    CHECK(pair.server->node().id() == "test");
  }
}

TEST_CASE("ads_stream: a change of one cluster sends that one (delta) or its type (sotw), and nothing of others") {
  for (const Mode mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    Pair pair(mode, resources({"a", "b"}));
    pair.client->want_all(kClusterType);
    pair.run();
    pair.received.clear();
    auto next = resources({"a"}, 1);
    for (const char* name : {"b"}) {
      envoy::config::cluster::v3::Cluster cluster;
      cluster.set_name(name);
      cluster.mutable_connect_timeout()->set_seconds(9);
      next->add(kClusterType, name, cluster);
      envoy::config::endpoint::v3::ClusterLoadAssignment load;
      load.set_cluster_name(name);
      next->add(kEndpointType, name, load);
    }
    pair.server->set_resources(next);
    pair.run();
    CHECK(pair.received.size() == (mode == Mode::delta ? 1 : 2));
    CHECK(pair.received.back().find("cluster b") != std::string::npos);
  }
}

TEST_CASE("ads_stream: a refusal names the resource, and is not answered by the same version again") {
  for (const Mode mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    Pair pair(mode, resources({"a", "b"}));
    pair.client->want_all(kClusterType);
    pair.run("b");
    bool found = false;
    for (const control::TypeStatus& type : pair.server->status()) {
      for (const control::Rejection& r : type.rejections) {
        CAPTURE(r.text);
        CHECK(r.text == "1 of 2 resources rejected: b: connect_timeout: no");
        found = true;
      }
    }
    CHECK(found);
    const size_t before = pair.received.size();
    pair.run("b");
    CHECK(pair.received.size() == before);
  }
}

TEST_CASE("ads_stream: a reconnect that says what is held is sent only the difference") {
  for (const Mode mode : kModes) {
    CAPTURE(static_cast<int>(mode));
    Pair first(mode, resources({"a", "b"}));
    first.client->want_all(kClusterType);
    first.client->want_all(kListenerType);
    first.run();
    Pair second(mode, resources({"a", "b"}));
    for (const std::string_view type : {kClusterType, kListenerType, kEndpointType}) {
      second.client->resume(type, first.type_versions[std::string(type)], first.versions[std::string(type)]);
    }
    second.client->want_all(kClusterType);
    second.client->want_all(kListenerType);
    second.client->want(kEndpointType, std::make_shared<const std::set<std::string>>(first.wanted));
    second.run();
    CHECK(second.received.empty());
  }
}

TEST_CASE("ads_stream: delta removals arrive by name") {
  Pair pair(Mode::delta, resources({"a", "b"}));
  pair.client->want_all(kClusterType);
  pair.client->want_all(kListenerType);
  pair.run();
  pair.received.clear();
  pair.server->set_resources(resources({"a"}));
  pair.run();
  CHECK(pair.count("removed b") >= 1);
  CHECK(pair.count("removed a") == 0);
}

TEST_CASE("ads_stream: what is not the protocol is an error, never a crash") {
  for (const Mode mode : kModes) {
    auto stream = AdsStream::make(mode, node());
    stream->want_all(kClusterType);
    CHECK_FALSE(stream->on_message("\xff\xff\xff"));
    CHECK_FALSE(stream->on_message(""));  // a response of no type was not asked for
  }
}

TEST_CASE("ads_stream: the text of a refusal is cut at its limit and stays UTF-8") {
  std::vector<ResourceError> errors;
  for (int i = 0; i < 500; ++i) errors.push_back({"r\xc3\xa4" + std::to_string(i), "p: wrong"});
  const std::string text = describe(errors, 500);
  CHECK(text.size() <= kErrorDetailBytesMax);
  CHECK(text.starts_with("500 of 500 resources rejected: r"));
  CHECK(text.ends_with(" ..."));
}

}  // namespace
}  // namespace pillion::xds::client
