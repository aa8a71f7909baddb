#include "proxy/upstream/tcp_connector.h"

#include <doctest/doctest.h>

#include "tests/unit/upstream/pool_fixture.h"

using namespace pillion;
using namespace pillion::test;
using Fault = sim::Host::Fault;

namespace {

struct Connecting final : upstream::TcpConnectEvents {
  explicit Connecting(PoolFixture& f) : connector(*f.cluster, *this) {}
  void on_connected(upstream::TcpConnection c) override { connection = std::move(c); }
  void on_connect_failed(const Error& why) override {
    CHECK(!failure);
    failure = why;
  }
  bool done() const { return connection || failure.has_value(); }
  upstream::TcpConnection connection;
  std::optional<Error> failure;
  upstream::TcpConnector connector;
};

}  // namespace

TEST_CASE("tcp connector: a connection is counted until it is dropped") {
  PoolFixture f;
  {
    Connecting c(f);
    c.connector.start({}, 1);
    CHECK(!c.done());
    REQUIRE(f.run_until([&] { return c.done(); }));
    REQUIRE(c.connection);
    CHECK(c.connection.address() == *Address::parse("10.0.0.1:80"));
    CHECK(f.stat("upstream_cx_active") == 1);
    CHECK(f.shared->breakers()[0].connections == 1);
    f.cluster->drain();
    CHECK(!f.cluster->is_drained());  // somebody still uses it
    c.connection.close(true);
    CHECK(f.stat("upstream_cx_destroy_remote") == 1);
  }
  CHECK(f.stat("upstream_cx_active") == 0);
  CHECK(f.shared->breakers()[0].connections == 0);
  CHECK(f.cluster->is_drained());
}

TEST_CASE("tcp connector: a failed connection is tried again, up to the limit, and reported to outlier detection") {
  config::Cluster config;
  config.outlier = config::OutlierDetection{};
  config.outlier->consecutive_5xx = 3;
  config.outlier->max_ejection_percent = 100;
  PoolFixture f(config, {"10.0.0.1:80", "10.0.0.2:80"});
  f.origins[0]->host().fault = f.origins[1]->host().fault = Fault::refuse;
  Connecting c(f);
  c.connector.start({}, 5);
  REQUIRE(f.run_until([&] { return c.done(); }));
  REQUIRE(c.failure);
  CHECK(c.failure->code == Code::connect_failed);
  CHECK(c.connector.attempts() == 5);
  CHECK(f.stat("upstream_cx_connect_fail") == 5);
  CHECK(f.stat("upstream_cx_connect_attempts_exceeded") == 1);
  CHECK(f.shared->ejected(f.world.now()) == 1);
  CHECK(f.shared->breakers()[0].connections == 0);

  f.origins[0]->host().fault = f.origins[1]->host().fault = Fault::none;
  Connecting again(f);
  again.connector.start({}, 1);
  REQUIRE(f.run_until([&] { return again.done(); }));
  CHECK(again.connection);
}

TEST_CASE("tcp connector: max_connections and a missing endpoint are told, never from inside start()") {
  config::Cluster config;
  config.breakers[0].connections_max = 1;
  PoolFixture f(config);
  Connecting first(f), second(f);
  first.connector.start({}, 1);
  REQUIRE(f.run_until([&] { return first.done(); }));
  second.connector.start({}, 3);
  CHECK(!second.done());
  REQUIRE(f.run_until([&] { return second.done(); }));
  REQUIRE(second.failure);
  CHECK(second.failure->code == Code::overflow);
  first.connection.close(false);
  f.cluster->set_assignment(assignment({}));
  Connecting third(f);
  third.connector.start({}, 3);
  REQUIRE(f.run_until([&] { return third.done(); }));
  CHECK(third.failure->code == Code::no_healthy_upstream);
}

TEST_CASE("tcp connector: destroying it cancels the dial") {
  PoolFixture f;
  {
    Connecting c(f);
    c.connector.start({}, 1);
    f.world.run_for(Duration{50});
    CHECK(f.stat("upstream_cx_active") == 1);
  }
  f.world.run_for(Duration{10'000});
  CHECK(f.stat("upstream_cx_active") == 0);
  CHECK(f.origins[0]->accepted == 0);
}
