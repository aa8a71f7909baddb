#include <doctest/doctest.h>

#include "proxy/admin/cluster_status.h"
#include "proxy/base/random.h"
#include "tests/unit/admin/fake_server.h"

using namespace pillion;
using namespace pillion::admin;
using namespace pillion::admin::test;

namespace {

config::Endpoint endpoint(const char* address, config::HealthStatus health = config::HealthStatus::unknown) {
  config::Endpoint out;
  out.address = *Address::parse(address);
  out.port = out.address.port();
  out.health = health;
  return out;
}

config::Endpoint named(const char* name, uint16_t port) {
  config::Endpoint out;
  out.hostname = name;
  out.port = port;
  return out;
}

std::shared_ptr<config::Cluster> cluster(const char* name, std::vector<config::Endpoint> endpoints,
                                         config::Cluster::Type type = config::Cluster::Type::static_) {
  auto out = std::make_shared<config::Cluster>();
  out->name = name;
  out->type = type;
  auto assignment = std::make_shared<config::EndpointAssignment>();
  assignment->localities.push_back({.locality = {"r", "z", "s"}, .priority = 1, .endpoints = std::move(endpoints)});
  out->inline_endpoints = assignment;
  return out;
}

struct Clusters : Asking {
  void add(std::shared_ptr<const config::Cluster> one) {
    auto next = std::make_shared<config::Snapshot>(*server.current);
    next->clusters.insert_or_assign(one->name, one);
    server.publish(next);
  }
  upstream::SharedCluster& use(const char* name) {
    server.shared.push_back(std::make_shared<upstream::SharedCluster>(name, server.stats, name));
    return *server.shared.back();
  }
  void check_lines(std::initializer_list<const char*> lines) {
    const std::string text = "\n" + ask("/clusters").body;
    CAPTURE(text);
    for (const char* line : lines) {
      CAPTURE(line);
      CHECK(text.find("\n" + std::string(line) + "\n") != std::string::npos);
    }
  }
};

}  // namespace

TEST_CASE("admin: /clusters lists a cluster that nobody has used, with zeros") {
  Clusters a;
  auto one = cluster("a", {endpoint("10.0.0.1:80")});
  one->alt_stat_name = "other";
  one->breakers[1].connections_max = 5;
  one->outlier.emplace();
  a.add(one);
  auto statics = std::make_shared<config::Snapshot>();
  statics->clusters.insert_or_assign("a", one);
  a.options.bootstrap = statics;
  CHECK(a.ask("/clusters").body == R"(a::observability_name::other
a::outlier::success_rate_average::-1
a::outlier::success_rate_ejection_threshold::-1
a::outlier::local_origin_success_rate_average::-1
a::outlier::local_origin_success_rate_ejection_threshold::-1
a::default_priority::max_connections::1024
a::default_priority::max_pending_requests::1024
a::default_priority::max_requests::1024
a::default_priority::max_retries::3
a::high_priority::max_connections::5
a::high_priority::max_pending_requests::1024
a::high_priority::max_requests::1024
a::high_priority::max_retries::3
a::added_via_api::false
a::10.0.0.1:80::cx_active::0
a::10.0.0.1:80::cx_connect_fail::0
a::10.0.0.1:80::cx_total::0
a::10.0.0.1:80::rq_active::0
a::10.0.0.1:80::rq_error::0
a::10.0.0.1:80::rq_success::0
a::10.0.0.1:80::rq_timeout::0
a::10.0.0.1:80::rq_total::0
a::10.0.0.1:80::hostname::
a::10.0.0.1:80::health_flags::healthy
a::10.0.0.1:80::weight::1
a::10.0.0.1:80::region::r
a::10.0.0.1:80::zone::z
a::10.0.0.1:80::sub_zone::s
a::10.0.0.1:80::canary::false
a::10.0.0.1:80::priority::1
a::10.0.0.1:80::success_rate::-1
a::10.0.0.1:80::local_origin_success_rate::-1
)");
}

TEST_CASE("admin: /clusters counts what the workers share") {
  Clusters a;
  a.add(cluster("a", {endpoint("10.0.0.1:80")}));
  const auto shared = a.use("a").endpoint(*Address::parse("10.0.0.1:80"));
  shared->requests_total = 7;
  shared->error_total = 2;
  shared->success_total = 5;
  shared->active_connections = 3;
  shared->connect_fail_total = 1;
  a.check_lines({"a::10.0.0.1:80::rq_total::7", "a::10.0.0.1:80::rq_error::2", "a::10.0.0.1:80::rq_success::5",
                 "a::10.0.0.1:80::cx_active::3", "a::10.0.0.1:80::cx_connect_fail::1", "a::added_via_api::true"});
  const std::string json = a.ask("/clusters?format=json").body;
  CHECK(json.find(R"(      {
       "value": "7",
       "name": "rq_total"
      })") != std::string::npos);
  CHECK(json.find(R"(      {
       "type": "GAUGE",
       "value": "3",
       "name": "cx_active"
      })") != std::string::npos);
  CHECK(json.find("\"added_via_api\": true") != std::string::npos);
}

TEST_CASE("admin: /clusters tells the health that EDS gave, in Envoy's words") {
  using config::HealthStatus;
  struct Case {
    HealthStatus health;
    const char* flags;
    const char* json;
  };
  for (const Case& c : {Case{HealthStatus::unknown, "healthy", "HEALTHY"},
                        {HealthStatus::healthy, "healthy", "HEALTHY"},
                        {HealthStatus::unhealthy, "/failed_eds_health", "UNHEALTHY"},
                        {HealthStatus::timeout, "/failed_eds_health", "UNHEALTHY"},
                        {HealthStatus::draining, "/eds_status_draining", "DRAINING"},
                        {HealthStatus::degraded, "/degraded_eds_health", "DEGRADED"}}) {
    CAPTURE(c.flags);
    Clusters a;
    a.add(cluster("a", {endpoint("10.0.0.1:80", c.health)}));
    a.check_lines({(std::string("a::10.0.0.1:80::health_flags::") + c.flags).c_str()});
    const std::string json = a.ask("/clusters?format=json").body;
    CHECK(json.find(std::string("\"eds_health_status\": \"") + c.json + "\"") != std::string::npos);
  }
}

TEST_CASE("admin: /clusters tells why an endpoint is ejected and for how long") {
  Clusters a;
  a.add(cluster("a", {endpoint("10.0.0.1:80")}));
  upstream::SharedCluster& shared = a.use("a");
  const auto one = shared.endpoint(*Address::parse("10.0.0.1:80"));
  config::OutlierDetection outlier;
  outlier.consecutive_5xx = 1;
  outlier.max_ejection_percent = 100;
  Random random(1);
  shared.report(*one, {.kind = upstream::Outcome::Kind::response, .status = 503}, outlier, 1, a.loop.now(), random,
                a.slab);
  REQUIRE(one->is_ejected(a.loop.now()));
  a.check_lines({"a::10.0.0.1:80::health_flags::/failed_outlier_check", "a::10.0.0.1:80::ejections_total::1",
                 "a::10.0.0.1:80::last_ejection_reason::CONSECUTIVE_5XX"});
  const std::string text = a.ask("/clusters").body;
  const std::string key = "::ejected_for_ms::";
  const long remaining = std::stol(text.substr(text.find(key) + key.size()));
  CHECK(remaining > 0);
  CHECK(remaining <= 30'000);
  const std::string json = a.ask("/clusters?format=json").body;
  CHECK(json.find("\"failed_outlier_check\": true") != std::string::npos);
  CHECK(json.find("\"last_reason\": \"CONSECUTIVE_5XX\"") != std::string::npos);
  one->ejected_until_us = 1;  // long ago
  a.check_lines({"a::10.0.0.1:80::health_flags::healthy", "a::10.0.0.1:80::ejected_for_ms::0"});
}

TEST_CASE("admin: /clusters lists the addresses that names resolved to") {
  Clusters a;
  a.add(cluster("a", {named("one.test", 80), named("two.test", 81), named("three.test", 81)},
                config::Cluster::Type::strict_dns));
  CHECK(a.ask("/clusters").body.find("hostname") == std::string::npos);
  upstream::SharedCluster& shared = a.use("a");
  const auto sure = shared.endpoint(*Address::parse("10.0.0.1:80"));
  const auto unsure = shared.endpoint(*Address::parse("10.0.0.2:81"));
  a.check_lines({"a::10.0.0.1:80::hostname::one.test", "a::10.0.0.1:80::priority::1", "a::10.0.0.2:81::hostname::"});
}

TEST_CASE("admin: /clusters takes the endpoints of EDS, and leaves out those that have left") {
  Clusters a;
  auto one = cluster("a", {}, config::Cluster::Type::eds);
  one->inline_endpoints = nullptr;
  one->eds_name = "service";
  a.add(one);
  a.check_lines({"a::eds_service_name::service"});
  auto next = std::make_shared<config::Snapshot>(*a.server.current);
  next->endpoints.insert_or_assign("service", cluster("", {endpoint("10.0.0.1:80")})->inline_endpoints);
  a.server.publish(next);
  upstream::SharedCluster& shared = a.use("a");
  const auto leaving = shared.endpoint(*Address::parse("10.0.0.9:80"));
  a.check_lines({"a::10.0.0.1:80::region::r"});
  CHECK(a.ask("/clusters").body.find("10.0.0.9") == std::string::npos);
  CHECK(a.ask("/clusters?format=json").body.find("\"eds_service_name\": \"service\"") != std::string::npos);
}
