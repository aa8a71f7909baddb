#include "proxy/upstream/pool.h"

#include <doctest/doctest.h>

#include "tests/unit/upstream/pool_fixture.h"

using namespace pillion;
using namespace pillion::test;
using Fault = sim::Host::Fault;
using Protocol = config::Cluster::Protocol;

namespace {

config::Cluster limited(uint32_t connections, uint32_t pending) {
  config::Cluster c;
  c.breakers[0].connections_max = connections;
  c.breakers[0].pending_max = pending;
  return c;
}

config::Cluster h2() {
  config::Cluster c;
  c.protocol = Protocol::http2;
  return c;
}

}  // namespace

TEST_CASE("pool: HTTP/1 has one request per connection at a time, and the next one takes the same connection") {
  PoolFixture f;
  Get a(f.pool()), b(f.pool());
  CHECK(f.stat("upstream_rq_pending_active") == 2);
  REQUIRE(f.run_until([&] { return a.ok() && b.ok(); }));
  CHECK(f.dialer.dials == 2);
  CHECK(a.connection != b.connection);
  CHECK(f.stat("upstream_rq_pending_active") == 0);
  Get c(f.pool());
  CHECK(c.is_running());  // at once
  REQUIRE(f.run_until([&] { return c.ok(); }));
  CHECK(c.reused);
  CHECK(f.dialer.dials == 2);
  CHECK(f.stat("upstream_cx_active") == 2);
}

TEST_CASE("pool: HTTP/2 carries many requests on one connection") {
  PoolFixture f(h2(), {"10.0.0.1:80"}, true);
  std::vector<std::unique_ptr<Get>> gets;
  for (int i = 0; i < 50; ++i) gets.push_back(std::make_unique<Get>(f.pool(Protocol::http2)));
  REQUIRE(f.run_until([&] { return std::all_of(gets.begin(), gets.end(), [](const auto& g) { return g->ok(); }); }));
  CHECK(f.dialer.dials == 1);
  CHECK(f.stat("upstream_cx_http2_total") == 1);
}

TEST_CASE("pool: until it is known what an endpoint speaks, one dial is made for all who wait") {
  struct Case {
    const char* alpn;
    Protocol protocol;
    bool certificate;
    int first;   // dials while nothing is known
    int second;  // … of ten more at once, when it is
    bool http2;
  };
  for (const Case& c : std::vector<Case>{{"h2", Protocol::automatic, false, 1, 0, true},
                                         {"http/1.1", Protocol::automatic, false, 10, 0, false},
                                         {"pillion-h2", Protocol::automatic, true, 1, 0, true},
                                         {"pillion-h2", Protocol::http1, true, 1, 0, true},
                                         {"pillion-h2", Protocol::http2, true, 1, 0, true},
                                         {"http/1.1", Protocol::http1, true, 10, 0, false},
                                         {"http/1.1", Protocol::http1, false, 10, 0, false}}) {
    CAPTURE(c.alpn);
    CAPTURE(static_cast<int>(c.protocol));
    config::Cluster config;
    config.carries_http1 = true;
    auto tls = std::make_shared<config::TlsContext>();
    if (c.certificate) tls->certificates.resize(1);
    config.tls = tls;
    PoolFixture f(config, {"10.0.0.1:80"}, c.http2);
    f.origins[0]->host().alpn = c.alpn;
    f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{10'000}}; };
    std::vector<std::unique_ptr<Get>> gets;
    const auto all_ok = [&] { return std::ranges::all_of(gets, [](const auto& get) { return get->ok(); }); };
    for (int i = 0; i < 10; ++i) gets.push_back(std::make_unique<Get>(f.pool(c.protocol)));
    const bool may_be_many = c.certificate || c.protocol == Protocol::automatic;
    CHECK(f.dialer.dials == (may_be_many ? 1 : 10));
    REQUIRE(f.run_until(all_ok));
    CHECK(f.dialer.dials == c.first);
    for (int i = 0; i < 10; ++i) gets.push_back(std::make_unique<Get>(f.pool(c.protocol)));
    REQUIRE(f.run_until(all_ok));
    CHECK(f.dialer.dials == c.first + c.second);
    CHECK(f.stat("upstream_cx_http2_total") == (c.http2 ? 1 : 0));
    // It is remembered: a connection of its own for each of eleven.
    for (int i = 0; i < 11; ++i) gets.push_back(std::make_unique<Get>(f.pool(c.protocol)));
    CHECK(f.dialer.dials == c.first + (c.http2 ? 0 : 1));
    REQUIRE(f.run_until(all_ok));
  }
}

TEST_CASE("pool: the next connection of HTTP/2 is made before the peer's limit of streams is reached") {
  PoolFixture f(h2(), {"10.0.0.1:80"}, true);
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{1'000'000}}; };
  Get first(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return first.ok(); }));  // the peer's SETTINGS are known
  const size_t most = http::CodecLimits{}.concurrent_streams_max;
  std::vector<std::unique_ptr<Get>> gets;
  while (gets.size() < most - most / 4) {
    CHECK(f.dialer.dials == 1);
    gets.push_back(std::make_unique<Get>(f.pool(Protocol::http2)));
  }
  CHECK(f.dialer.dials == 2);
  f.world.run_for(Duration{100'000});
  while (gets.size() < most + 1) {
    gets.push_back(std::make_unique<Get>(f.pool(Protocol::http2)));
    CHECK(gets.back()->is_running());  // at once, also the one that is too many for the first
  }
  CHECK(f.dialer.dials == 2);
  REQUIRE(f.run_until([&] { return std::ranges::all_of(gets, [](const auto& get) { return get->ok(); }); }));
}

TEST_CASE("pool: ALPN decides where the protocol is automatic, and HTTP/1 gets a connection for each who waits") {
  for (const bool http2 : {true, false}) {
    CAPTURE(http2);
    config::Cluster c;
    c.protocol = Protocol::automatic;
    PoolFixture f(c, {"10.0.0.1:80"}, http2);
    f.origins[0]->host().alpn = http2 ? "h2" : "http/1.1";
    Get first(f.pool(Protocol::automatic));
    REQUIRE(f.run_until([&] { return first.ok(); }));
    Get a(f.pool(Protocol::automatic)), b(f.pool(Protocol::automatic));
    REQUIRE(f.run_until([&] { return a.ok() && b.ok(); }));
    CHECK(f.dialer.dials == (http2 ? 1 : 2));
    CHECK(f.stat("upstream_cx_http2_total") == (http2 ? 1 : 0));
  }
}

TEST_CASE("pool: connections come from the source address of the endpoint's family") {
  config::Cluster c;
  c.bind = *Address::parse_ip("127.0.0.6", 0);
  c.extra_binds = {*Address::parse_ip("::6", 0)};
  PoolFixture f(c, {"10.0.0.1:80", "[fd00::1]:80"});
  for (const auto& endpoint : f.cluster->endpoints()) {
    const auto options = endpoint->target().dial_options({});
    REQUIRE(options.has_value());
    CHECK(options->bind.to_string() == (options->remote.ip().contains(':') ? "[::6]:0" : "127.0.0.6:0"));
  }
}

TEST_CASE("pool: who waits is served in the order of asking, as connections come free") {
  PoolFixture f(limited(1, 10));
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{10'000}}; };
  std::vector<std::unique_ptr<Get>> gets;
  for (int i = 0; i < 4; ++i) gets.push_back(std::make_unique<Get>(f.pool()));
  CHECK(f.stat("upstream_cx_overflow") == 3);
  for (size_t i = 0; i < gets.size(); ++i) {
    REQUIRE(f.run_until([&] { return gets[i]->ok(); }));
    for (size_t later = i + 1; later < gets.size(); ++later) CHECK(!gets[later]->done());
  }
  CHECK(f.dialer.dials == 1);
  CHECK(f.shared->breakers()[0].pending == 0);
}

TEST_CASE("pool: max_pending_requests refuses, and a waiter that leaves makes room") {
  PoolFixture f(limited(1, 1));
  auto waiting = std::make_unique<Get>(f.pool());
  Get refused(f.pool());
  REQUIRE(refused.failure);
  CHECK(refused.failure->code == Code::overflow);
  CHECK(f.stat("upstream_rq_pending_overflow") == 1);
  waiting.reset();
  CHECK(f.stat("upstream_rq_pending_active") == 0);
  Get next(f.pool());
  REQUIRE(f.run_until([&] { return next.ok(); }));
  CHECK(f.dialer.dials == 1);  // the first one's dial served the second
}

TEST_CASE("pool: max_connections never refuses the only connection of an endpoint") {
  PoolFixture f(limited(1, 10), {"10.0.0.1:80", "10.0.0.2:80"});
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = sim::Reaction::Kind::hang}; };
  Get holds(f.pool());
  REQUIRE(f.run_until([&] { return f.origins[0]->requests.size() == 1; }));
  Get other(**f.cluster->endpoints()[1]->http_pool(Protocol::http1));
  REQUIRE(f.run_until([&] { return other.ok(); }));
  CHECK(f.stat("upstream_cx_overflow") == 1);
}

TEST_CASE("pool: a dial that fails, fails who waited for it, with its reason") {
  struct Case {
    Fault fault;
    Code want;
    const char* stat;
  };
  static constexpr Case kCases[] = {{Fault::refuse, Code::connect_failed, "upstream_cx_connect_fail"},
                                    {Fault::unreachable, Code::connect_timeout, "upstream_cx_connect_timeout"},
                                    {Fault::tls_failed, Code::tls_failed, "upstream_cx_connect_fail"}};
  for (const Case& c : kCases) {
    CAPTURE(c.stat);
    PoolFixture f(limited(1, 10));
    f.origins[0]->host().fault = c.fault;
    Get a(f.pool()), b(f.pool());
    REQUIRE(f.run_until([&] { return a.done() && b.done(); }));
    for (const Get* get : {&a, &b}) {
      REQUIRE(get->failure);
      CHECK(get->failure->code == c.want);
      CHECK(get->failure->retry == Retry::safe);
      CHECK(get->failure->side == Side::upstream);
    }
    CHECK(f.stat(c.stat) == 1);
    CHECK(f.stat("upstream_rq_pending_failure_eject") == 2);
    CHECK(f.stat("upstream_cx_active") == 0);
    CHECK(f.shared->breakers()[0].connections == 0);
    CHECK(f.cluster->endpoints()[0]->shared().connect_fail_total == 1);
  }
}

TEST_CASE("pool: where each waiter has a dial of its own, one that fails takes only the oldest with it") {
  PoolFixture f;
  f.origins[0]->host().fault = Fault::refuse;
  Get first(f.pool());
  f.world.run_for(Duration{50});
  f.origins[0]->host().fault = Fault::none;
  Get second(f.pool());
  REQUIRE(f.run_until([&] { return first.done() && second.done(); }));
  CHECK(first.failure);
  CHECK(second.ok());
}

TEST_CASE("pool: connections that are busy keep up the hope of those whose dial failed") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{50'000}}; };
  Get busy(f.pool());
  REQUIRE(f.run_until([&] { return busy.is_running(); }));
  f.origins[0]->host().fault = Fault::refuse;
  Get a(f.pool()), b(f.pool());
  REQUIRE(f.run_until([&] { return a.done() && b.done(); }));
  CHECK(a.failure);
  CHECK(b.failure);  // each had a dial, and each dial failed
  CHECK(!busy.done());
  REQUIRE(f.run_until([&] { return busy.ok(); }));
}

TEST_CASE("pool: a connection that drains gives no hope to those whose dial failed") {
  config::Cluster config;
  config.carries_http1 = true;
  auto tls = std::make_shared<config::TlsContext>();
  tls->certificates.resize(1);
  config.tls = tls;
  config.max_requests_per_connection = 2;
  PoolFixture f(config, {"10.0.0.1:80"}, true);
  f.origins[0]->host().alpn = "pillion-h2";
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{600'000'000}}; };
  auto& pool = f.pool(config::Cluster::Protocol::http1);
  Get first(pool), second(pool);
  REQUIRE(f.run_until([&] { return first.is_running() && second.is_running(); }));  // used up: it drains
  f.origins[0]->host().fault = sim::Host::Fault::refuse;
  Get third(pool), fourth(pool);  // one dial for both
  CHECK(f.run_until([&] { return third.failure && fourth.failure; }));
}

TEST_CASE("pool: max_concurrent_streams of the cluster bounds the streams of a connection") {
  config::Cluster config;
  config.h2_concurrent_streams_max = 2;
  PoolFixture f(config, {"10.0.0.1:80"}, true);
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{10'000}}; };
  auto& pool = f.pool(config::Cluster::Protocol::http2);
  std::vector<std::unique_ptr<Get>> gets;
  for (int i = 0; i < 5; ++i) gets.push_back(std::make_unique<Get>(pool));
  const auto running = [&] { return std::ranges::count_if(gets, [](const auto& get) { return get->is_running(); }); };
  REQUIRE(f.run_until([&] { return running() > 0; }));
  CHECK(f.run_until([&] { return std::ranges::all_of(gets, [](const auto& get) { return get->ok(); }); }));
  CHECK(f.dialer.dials >= 3);
}

TEST_CASE("pool: draining lets what runs and who waits finish, then everything is gone") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{10'000}}; };
  Get idle_maker(f.pool());
  REQUIRE(f.run_until([&] { return idle_maker.ok(); }));
  Get runs(f.pool());
  Get waits(f.pool());
  REQUIRE(runs.is_running());
  f.cluster->set_assignment(assignment({}));
  CHECK(f.cluster->endpoints().empty());
  REQUIRE(f.run_until([&] { return runs.done() && waits.done(); }));
  CHECK(runs.ok());
  CHECK(waits.ok());
  f.world.run_for(Duration{1'000});
  CHECK(f.stat("upstream_cx_active") == 0);
  f.cluster->drain();
  CHECK(f.cluster->is_drained());
}

TEST_CASE("pool: draining an idle pool closes it at once, and cancels dials that nobody waits for") {
  PoolFixture f;
  Get first(f.pool());
  REQUIRE(f.run_until([&] { return first.ok(); }));
  Get left(f.pool());
  auto gone = std::make_unique<Get>(f.pool());
  gone.reset();  // its dial goes on
  REQUIRE(f.run_until([&] { return left.ok(); }));
  f.pool().drain();
  CHECK(f.pool().is_empty());
  CHECK(f.stat("upstream_cx_active") == 0);
}

TEST_CASE("pool: closing resets what runs and fails who waits") {
  PoolFixture f(limited(1, 10));
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = sim::Reaction::Kind::hang}; };
  Get runs(f.pool()), waits(f.pool());
  REQUIRE(f.run_until([&] { return f.origins[0]->requests.size() == 1; }));
  f.pool().close();
  REQUIRE(runs.failure);
  CHECK(runs.failure->code == Code::local_close);
  REQUIRE(waits.failure);
  CHECK(waits.failure->code == Code::draining);
  CHECK(f.pool().is_empty());
  CHECK(f.stat("upstream_cx_destroy_with_active_rq") == 1);
}

TEST_CASE("pool: a waiter is served when the connection that it waited behind is lost") {
  PoolFixture f(limited(1, 10));
  f.origins[0]->script = [](const sim::SeenRequest& seen) {
    return sim::Reaction{.kind = seen.connection == 1 ? sim::Reaction::Kind::reset : sim::Reaction::Kind::answer};
  };
  Get lost(f.pool()), waits(f.pool());
  REQUIRE(f.run_until([&] { return lost.done() && waits.done(); }));
  CHECK(lost.failure);
  CHECK(waits.ok());
  CHECK(f.dialer.dials == 2);
}
