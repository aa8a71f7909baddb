#include "proxy/upstream/cluster.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/upstream/cluster_fixture.h"

using namespace pillion;
using namespace pillion::test;
using config::HealthStatus;
using Lb = config::Cluster::Lb;

namespace {

config::Cluster with(Lb lb) {
  config::Cluster c;
  c.lb = lb;
  return c;
}

constexpr const char* kA = "10.0.0.1:80";
constexpr const char* kB = "10.0.0.2:80";
constexpr const char* kC = "10.0.0.3:80";

}  // namespace

TEST_CASE("cluster: round robin gives each endpoint the same, whatever happens in between") {
  ClusterFixture f(with(Lb::round_robin));
  f.start(assignment({locality({endpoint(kA), endpoint(kB), endpoint(kC)})}));
  const auto shares = f.shares(300);
  for (const char* address : {kA, kB, kC}) CHECK(shares.at(address) == 100);
}

TEST_CASE("cluster: round robin follows weights, evenly spread") {
  ClusterFixture f(with(Lb::round_robin));
  f.start(assignment({locality({endpoint(kA, 3), endpoint(kB, 1)})}));
  const auto shares = f.shares(400);
  CHECK(std::abs(shares.at(kA) - 300) <= 2);
  int in_a_row = 0;
  for (int i = 0; i < 100; ++i) {
    const bool is_a = (*f.cluster->pick({}))->address().to_string() == kA;
    in_a_row = is_a ? in_a_row + 1 : 0;
    CHECK(in_a_row <= 4);  // never a burst of the heavy one
  }
}

TEST_CASE("cluster: workers do not all begin with the same endpoint") {
  std::map<std::string, int> firsts;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    for (const uint32_t weight : {1u, 2u}) {
      ClusterFixture f(with(Lb::round_robin));
      f.executor.random = Random(seed);
      f.start(assignment({locality({endpoint(kA, weight), endpoint(kB), endpoint(kC)})}));
      ++firsts[(*f.cluster->pick({}))->address().to_string()];
    }
  }
  for (const char* address : {kA, kB, kC}) CHECK(firsts[address] > 15);
}

TEST_CASE("cluster: random gives each endpoint about the same") {
  ClusterFixture f(with(Lb::random));
  f.start(assignment({locality({endpoint(kA, 5), endpoint(kB), endpoint(kC)})}));
  const auto shares = f.shares(3000);
  for (const char* address : {kA, kB, kC}) CHECK(std::abs(shares.at(address) - 1000) < 150);
}

TEST_CASE("cluster: least request prefers who has less to do") {
  ClusterFixture f(with(Lb::least_request));
  f.start(assignment({locality({endpoint(kA), endpoint(kB)})}));
  f.cluster->endpoints()[0]->shared().active_requests = 5;
  CHECK(f.shares(100).at(kB) == 100);  // of two, both are looked at: never the busy one
}

TEST_CASE("cluster: least request with weights takes the load into account") {
  ClusterFixture f(with(Lb::least_request));
  f.start(assignment({locality({endpoint(kA, 2), endpoint(kB, 1)})}));
  const auto idle = f.shares(300);
  CHECK(std::abs(idle.at(kA) - 200) <= 3);
  f.cluster->endpoints()[0]->shared().active_requests = 9;  // weight 2 / 10
  f.shares(2);
  const auto busy = f.shares(600);
  CHECK(std::abs(busy.at(kB) - 500) <= 5);
}

TEST_CASE("cluster: priorities spill over and panic ignores health") {
  ClusterFixture f;
  const auto sick = [](const char* address) { return endpoint(address, 1, HealthStatus::unhealthy); };
  struct Case {
    const char* name;
    std::vector<config::LocalityEndpoints> localities;
    std::map<std::string, int> want;  // per 1000, within 60
    bool panic;
  };
  const Case kCases[] = {
      {"the first level is well", {locality({endpoint(kA)}), locality({endpoint(kB)}, 1)}, {{kA, 1000}}, false},
      {"the first level is gone", {locality({sick(kA)}), locality({endpoint(kB)}, 1)}, {{kB, 1000}}, false},
      {"half of the first level",
       {locality({endpoint(kA), sick(kB)}), locality({endpoint(kC)}, 1)},
       {{kA, 700}, {kC, 300}},
       false},
      {"nobody is well: everybody is used", {locality({sick(kA), sick(kB)})}, {{kA, 500}, {kB, 500}}, true},
      {"degraded ones serve when nobody else does",
       {locality({endpoint(kA, 1, HealthStatus::degraded), sick(kB)})},
       {{kA, 1000}},
       false},
      {"draining counts as unhealthy",
       {locality({endpoint(kA, 1, HealthStatus::draining)}), locality({endpoint(kB)}, 1)},
       {{kB, 1000}},
       false},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const uint64_t panics = f.stat("lb_healthy_panic");
    f.start(assignment(c.localities));
    const auto shares = f.shares(1000);
    CHECK(shares.size() == c.want.size());
    for (const auto& [address, want] : c.want) {
      CAPTURE(address);
      REQUIRE(shares.contains(address));
      CHECK(std::abs(shares.at(address) - want) < 60);
    }
    CHECK((f.stat("lb_healthy_panic") - panics == 1000) == c.panic);
    f.cluster.reset();
  }
}

TEST_CASE("cluster: who finds no endpoint learns why") {
  struct Case {
    const char* name;
    std::vector<config::LocalityEndpoints> localities;
    bool fail_on_panic;
    uint32_t threshold;
    std::string want;
  };
  const Case kCases[] = {
      {"empty", {}, false, 50, "!the cluster has no endpoints"},
      {"fail_traffic_on_panic",
       {locality({endpoint(kA, 1, HealthStatus::unhealthy)})},
       true,
       50,
       "!too few endpoints are healthy: fail_traffic_on_panic"},
      {"panic is off",
       {locality({endpoint(kA, 1, HealthStatus::unhealthy)})},
       false,
       0,
       "!all endpoints of the cluster are unhealthy"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    config::Cluster config;
    config.fail_traffic_on_panic = c.fail_on_panic;
    config.panic_threshold_percent = c.threshold;
    ClusterFixture f(config);
    f.start(assignment(c.localities));
    CHECK(f.shares(10) == std::map<std::string, int>{{c.want, 10}});
    CHECK(f.stat("upstream_cx_none_healthy") == 10);
    const auto picked = f.cluster->pick({});
    REQUIRE(!picked);
    CHECK(picked.error().code == Code::no_healthy_upstream);
  }
}

TEST_CASE("cluster: locality weights share the load, and a locality that falls ill gives some of its share away") {
  config::Cluster config;
  config.locality_weighted = true;
  ClusterFixture f(config);
  const auto near = [&](HealthStatus of_b) { return locality({endpoint(kA), endpoint(kB, 1, of_b)}, 0, 3, "near"); };
  f.start(assignment({near(HealthStatus::healthy), locality({endpoint(kC)}, 0, 1, "far")}));
  const auto well = f.shares(400);
  CHECK(std::abs(well.at(kC) - 100) <= 2);
  CHECK(std::abs(well.at(kA) - 150) <= 2);
  // near: 1 of 2 is healthy, 140 % of a half is 0.7, so the weights are 2.1 to 1.
  f.cluster->set_assignment(assignment({near(HealthStatus::unhealthy), locality({endpoint(kC)}, 0, 1, "far")}));
  const auto ill = f.shares(3100);
  CHECK(std::abs(ill.at(kC) - 1000) <= 3);
  CHECK(std::abs(ill.at(kA) - 2100) <= 3);
  // A locality without a weight gets nothing.
  f.cluster->set_assignment(
      assignment({locality({endpoint(kA)}, 0, 0, "near"), locality({endpoint(kC)}, 0, 1, "far")}));
  CHECK(f.shares(100) == std::map<std::string, int>{{kC, 100}});
}

TEST_CASE("cluster: an update keeps the endpoints that stay and drops those that left") {
  ClusterFixture f;
  f.start(assignment({locality({endpoint(kA), endpoint(kB)})}));
  const upstream::Endpoint* const a = f.cluster->endpoints()[0].get();
  CHECK(f.stat("membership_total") == 2);
  f.cluster->set_assignment(assignment({locality({endpoint(kC)}), locality({endpoint(kA, 7)}, 1, 0, "z")}));
  REQUIRE(f.cluster->endpoints().size() == 2);
  CHECK(f.cluster->endpoints()[1].get() == a);
  CHECK(a->weight() == 7);
  CHECK(a->priority() == 1);
  CHECK(a->locality().zone == "z");
  CHECK(f.stat("membership_change") == 2);
  CHECK(f.stat("membership_healthy") == 2);
  f.cluster->set_assignment(assignment({locality({endpoint(kA), endpoint(kA), endpoint(kA)})}));
  CHECK(f.cluster->endpoints().size() == 1);  // an address counts once
  CHECK(f.stat("membership_total") == 1);
  f.cluster->drain();
  CHECK(f.cluster->is_drained());
  f.cluster.reset();
  CHECK(f.stat("membership_total") == 0);
}

TEST_CASE("cluster: endpoints that were tried are avoided as often as the policy says") {
  ClusterFixture f(with(Lb::random));
  f.start(assignment({locality({endpoint(kA), endpoint(kB)})}));
  const std::vector<Address> tried = {*Address::parse(kA)};
  upstream::PickContext context;
  context.avoid = tried;
  context.attempts_max = 30;
  CHECK(f.shares(200, context) == std::map<std::string, int>{{kB, 200}});
  context.attempts_max = 1;  // one more look: a quarter of the picks still end at A
  const auto shares = f.shares(1000, context);
  CHECK(std::abs(shares.at(kA) - 250) < 60);
}

TEST_CASE("cluster: original destinations become endpoints on demand, and idle ones are forgotten") {
  config::Cluster config;
  config.type = config::Cluster::Type::original_dst;
  config.original_dst_port_override = 8080;
  ClusterFixture f(config);
  f.cluster = std::make_unique<upstream::Cluster>(f.services, f.config, f.shared);
  upstream::PickContext context;
  context.original_destination = *Address::parse(kA);
  CHECK(f.shares(3, context) == std::map<std::string, int>{{"10.0.0.1:8080", 3}});
  CHECK(f.stat("membership_total") == 1);
  f.advance(upstream::Cluster::kSweepInterval);
  CHECK(f.stat("membership_total") == 1);  // it was used since
  f.advance(upstream::Cluster::kSweepInterval);
  CHECK(f.stat("membership_total") == 0);
  const auto none = f.cluster->pick({});
  REQUIRE(!none);
  CHECK(none.error().what == std::string("the connection has no original destination"));
}
