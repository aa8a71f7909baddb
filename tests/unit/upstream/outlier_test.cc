#include <doctest/doctest.h>

#include "tests/unit/upstream/cluster_fixture.h"

using namespace pillion;
using namespace pillion::test;
using upstream::Outcome;

namespace {

config::Cluster with(config::OutlierDetection outlier) {
  config::Cluster c;
  c.outlier = outlier;
  c.panic_threshold_percent = 0;
  return c;
}

std::shared_ptr<config::EndpointAssignment> hosts(int n) {
  std::vector<config::Endpoint> endpoints;
  for (int i = 1; i <= n; ++i) endpoints.push_back(endpoint("10.0.0." + std::to_string(i) + ":80"));
  return assignment({locality(std::move(endpoints))});
}

void report(ClusterFixture& f, size_t host, const Outcome& outcome, int times) {
  for (int i = 0; i < times; ++i) f.cluster->report(*f.cluster->endpoints()[host], outcome);
}

constexpr Outcome response(uint16_t status) {
  return {.kind = Outcome::Kind::response, .status = status};
}

}  // namespace

TEST_CASE("outlier: which outcomes count, and as what") {
  struct Case {
    const char* name;
    Outcome outcome;
    bool split;
    upstream::EjectionReason want;
  };
  using Reason = upstream::EjectionReason;
  static constexpr Case kCases[] = {
      {"500", response(500), false, Reason::consecutive_5xx},
      {"503 reaches the limit of gateway failures first", response(503), false, Reason::consecutive_gateway_failure},
      {"404", response(404), false, Reason::none},
      {"a connection that failed", {.kind = Outcome::Kind::connect_failed}, false, Reason::consecutive_gateway_failure},
      {"a timeout", {.kind = Outcome::Kind::timeout}, false, Reason::consecutive_gateway_failure},
      {"a reset", {.kind = Outcome::Kind::reset}, false, Reason::consecutive_gateway_failure},
      {"a connection that was made", {.kind = Outcome::Kind::connected}, false, Reason::none},
      {"gRPC UNAVAILABLE with status 200",
       {.kind = Outcome::Kind::response, .status = 200, .grpc_status = 14},
       false,
       Reason::consecutive_gateway_failure},
      {"gRPC INTERNAL",
       {.kind = Outcome::Kind::response, .status = 200, .grpc_status = 13},
       false,
       Reason::consecutive_5xx},
      {"gRPC NOT_FOUND", {.kind = Outcome::Kind::response, .status = 200, .grpc_status = 5}, false, Reason::none},
      {"told apart: a failed connection",
       {.kind = Outcome::Kind::connect_failed},
       true,
       Reason::consecutive_local_origin},
      {"told apart: an answer", response(500), true, Reason::consecutive_5xx},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    config::OutlierDetection outlier;
    outlier.enforcing_consecutive_gateway_failure = 100;
    outlier.split_external_local_origin_errors = c.split;
    ClusterFixture f(with(outlier));
    f.start(hosts(10));
    report(f, 0, c.outcome, 4);
    CHECK(f.shared->ejected(f.executor.now()) == 0);
    report(f, 0, c.outcome, 1);
    CHECK(f.shared->ejected(f.executor.now()) == (c.want == Reason::none ? 0 : 1));
    CHECK(f.cluster->endpoints()[0]->shared().last_reason == c.want);
    CHECK(f.stat("outlier_detection.ejections_active") == (c.want == Reason::none ? 0 : 1));
  }
}

TEST_CASE("outlier: one good answer begins the count anew") {
  ClusterFixture f(with({}));
  f.start(hosts(10));
  report(f, 0, response(500), 4);
  report(f, 0, response(200), 1);
  report(f, 0, response(500), 4);
  CHECK(f.shared->ejected(f.executor.now()) == 0);
  report(f, 0, response(500), 1);
  CHECK(f.shared->ejected(f.executor.now()) == 1);
}

TEST_CASE("outlier: an ejected endpoint is not picked until its time is over, which grows with each ejection") {
  config::OutlierDetection outlier;
  outlier.max_ejection_time = 70'000'000us;
  ClusterFixture f(with(outlier));
  f.start(hosts(10));
  const std::string sick = f.cluster->endpoints()[0]->address().to_string();
  for (const int seconds : {30, 60, 70, 70}) {
    CAPTURE(seconds);
    report(f, 0, response(500), 5);
    CHECK(!f.shares(100).contains(sick));
    CHECK(f.stat("membership_healthy") == 9);
    f.advance(Duration{seconds * 1'000'000LL - 1});
    CHECK(!f.shares(100).contains(sick));
    f.advance(Duration{1});
    CHECK(f.shares(100).at(sick) == 10);
    CHECK(f.stat("outlier_detection.ejections_active") == 0);
  }
  f.advance(Duration{outlier.interval.count() * 20});  // well for long: the multiplier is forgotten
  report(f, 0, response(500), 5);
  f.advance(Duration{30'000'000});
  CHECK(f.shares(100).at(sick) == 10);
  CHECK(f.stat("outlier_detection.ejections_enforced_total") == 5);
  CHECK(f.stat("outlier_detection.ejections_enforced_consecutive_5xx") == 5);
}

TEST_CASE("outlier: not more than max_ejection_percent are ejected at once") {
  struct Case {
    int hosts;
    uint32_t percent;
    bool always_one;
    size_t want;
  };
  static constexpr Case kCases[] = {{10, 10, false, 1}, {10, 35, false, 3}, {5, 10, false, 0},
                                    {5, 10, true, 1},   {4, 100, false, 4}, {3, 0, false, 0}};
  for (const Case& c : kCases) {
    CAPTURE(c.hosts);
    CAPTURE(c.percent);
    config::OutlierDetection outlier;
    outlier.max_ejection_percent = c.percent;
    outlier.always_eject_one_host = c.always_one;
    ClusterFixture f(with(outlier));
    f.start(hosts(c.hosts));
    for (int i = 0; i < c.hosts; ++i) report(f, static_cast<size_t>(i), response(500), 5);
    CHECK(f.shared->ejected(f.executor.now()) == c.want);
    CHECK(f.stat("outlier_detection.ejections_overflow") == static_cast<size_t>(c.hosts) - c.want);
    if (c.want == 4) CHECK(f.shares(1) == std::map<std::string, int>{{"!all endpoints of the cluster are ejected", 1}});
  }
}

TEST_CASE("outlier: what is not enforced is only counted") {
  ClusterFixture f(with({}));  // gateway failures are detected, and enforced by 0 % unless asked for
  f.start(hosts(10));
  report(f, 0, response(503), 4);
  report(f, 0, response(500), 1);
  CHECK(f.stat("outlier_detection.ejections_enforced_consecutive_5xx") == 1);
  report(f, 1, response(503), 5);
  CHECK(f.stat("outlier_detection.ejections_detected_consecutive_gateway_failure") == 1);
  CHECK(f.stat("outlier_detection.ejections_enforced_consecutive_gateway_failure") == 0);
}

TEST_CASE("outlier: ejections are seen by other workers, and panic uses the ejected") {
  config::OutlierDetection outlier;
  outlier.max_ejection_percent = 100;
  config::Cluster config = with(outlier);
  config.panic_threshold_percent = 50;
  ClusterFixture f(config);
  f.start(hosts(2));
  upstream::Cluster other(f.services, f.config, f.shared);
  other.set_assignment(hosts(2));
  report(f, 0, response(500), 5);
  for (int i = 0; i < 10; ++i) CHECK((*other.pick({}))->address() == f.cluster->endpoints()[1]->address());
  report(f, 1, response(500), 5);
  CHECK(f.shares(100).size() == 2);
}
