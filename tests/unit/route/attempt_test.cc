#include "proxy/route/attempt.h"

#include <doctest/doctest.h>

#include "tests/unit/route/attempt_fixture.h"

using namespace pillion;
using namespace pillion::test;
using Kind = sim::Reaction::Kind;

namespace {

// Everything that was taken has been given back.
void check_at_rest(PoolFixture& f) {
  f.world.run_for(Duration{10'000});
  CHECK(f.stat("upstream_rq_active") == 0);
  CHECK(f.stat("upstream_rq_pending_active") == 0);
  CHECK(f.shared->breakers()[0].requests == 0);
  CHECK(f.shared->breakers()[0].pending == 0);
  CHECK(f.shared->breakers()[0].retries == 0);
  for (const auto& e : f.cluster->endpoints()) CHECK(e->shared().active_requests == 0);
}

}  // namespace

TEST_CASE("attempt: an answer is recorded, counted, and leaves the connection for the next one") {
  for (const bool http2 : {false, true}) {
    CAPTURE(http2);
    config::Cluster c;
    c.protocol = http2 ? config::Cluster::Protocol::http2 : config::Cluster::Protocol::http1;
    PoolFixture f(c, {"10.0.0.1:80"}, http2);
    for (int i = 0; i < 3; ++i) {
      Request r(f, nullptr);
      REQUIRE(f.run_until([&] { return r.done(); }));
      CHECK(r.status() == 200);
      CHECK(r.attempt().state() == route::Attempt::State::ended);
      CHECK(r.attempt().body.to_string() == "xxxxx");
      CHECK(r.attempt().was_reused() == (i > 0));
      CHECK(r.attempt().endpoint_address() == *Address::parse("10.0.0.1:80"));
    }
    CHECK(f.dialer.dials == 1);
    CHECK(f.stat("upstream_rq_total") == 3);
    CHECK(f.stat("upstream_rq_2xx") == 3);
    CHECK(f.stat("upstream_rq_completed") == 3);
    CHECK(f.cluster->endpoints()[0]->shared().success_total == 3);
    check_at_rest(f);
  }
}

TEST_CASE("attempt: how each failure is told") {
  struct Case {
    const char* name;
    Kind kind;
    bool http2;
    Code want;
  };
  static constexpr Case kCases[] = {
      {"HTTP/1 reset", Kind::reset, false, Code::peer_reset},
      {"HTTP/1 close", Kind::close, false, Code::peer_closed},
      {"HTTP/2 reset", Kind::reset, true, Code::stream_reset},
      {"HTTP/2 refused", Kind::refuse, true, Code::refused_stream},
      {"HTTP/2 close", Kind::close, true, Code::peer_closed},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    config::Cluster config;
    config.protocol = c.http2 ? config::Cluster::Protocol::http2 : config::Cluster::Protocol::http1;
    PoolFixture f(config, {"10.0.0.1:80"}, c.http2);
    f.origins[0]->script = [&](const sim::SeenRequest&) { return sim::Reaction{.kind = c.kind}; };
    route::AttemptOptions options;
    Request r(f, nullptr, "POST", options);
    REQUIRE(f.run_until([&] { return r.done(); }));
    CHECK(r.attempt().state() == route::Attempt::State::failed);
    CHECK(r.failure().code == c.want);
    CHECK(r.failure().side == Side::upstream);
    const size_t want_attempts = c.want == Code::refused_stream ? 1 + route::RetryState::kSafeReplaysMax : 1;
    CHECK(r.attempts == want_attempts);
    CHECK(f.stat("upstream_rq_rx_reset") == want_attempts);
    CHECK(f.stat("upstream_rq_tx_reset") == 0);
    check_at_rest(f);
  }
}

TEST_CASE("attempt: per-try timeouts end it and reset the stream") {
  for (const bool http2 : {false, true}) {
    CAPTURE(http2);
    config::Cluster config;
    config.protocol = http2 ? config::Cluster::Protocol::http2 : config::Cluster::Protocol::http1;
    PoolFixture f(config, {"10.0.0.1:80"}, http2);
    f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = Kind::hang}; };
    route::AttemptOptions options;
    options.per_try_timeout = Duration{100'000};
    Request r(f, nullptr, "GET", options);
    const Instant began = f.world.now();
    REQUIRE(f.run_until([&] { return r.done(); }));
    CHECK(f.world.now() - began == Duration{100'000});
    CHECK(r.failure().code == Code::per_try_timeout);
    CHECK(f.stat("upstream_rq_per_try_timeout") == 1);
    CHECK(f.stat("upstream_rq_tx_reset") == 1);
    check_at_rest(f);
    CHECK(f.stat("upstream_cx_active") == (http2 ? 1 : 0));
  }
}

TEST_CASE("attempt: a cancelled one gives everything back, wherever it stands") {
  for (const int64_t after_us : {0, 150, 350, 5'150}) {  // dialing, dialed, asked, answering
    CAPTURE(after_us);
    PoolFixture f;
    f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{5'000}}; };
    {
      Request r(f, nullptr);
      f.world.run_for(Duration{after_us});
      CHECK(!r.done());
    }
    check_at_rest(f);
    Request next(f, nullptr);
    REQUIRE(f.run_until([&] { return next.done(); }));
    CHECK(next.status() == 200);
    check_at_rest(f);
  }
}

TEST_CASE("attempt: max_requests counts what runs, not what waits for a connection") {
  config::Cluster c;
  c.breakers[0].requests_max = 1;
  c.protocol = config::Cluster::Protocol::http2;
  PoolFixture f(c, {"10.0.0.1:80"}, true);
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{5'000}}; };
  Request first(f, nullptr), second(f, nullptr);
  REQUIRE(f.run_until([&] { return first.done() && second.done(); }));
  CHECK(first.status() == 200);
  CHECK(second.failure().code == Code::overflow);
  CHECK(f.stat("upstream_rq_active_overflow") == 1);
  CHECK(f.stat("upstream_rq_pending_overflow") == 0);
  check_at_rest(f);
}

TEST_CASE("attempt: without an endpoint it fails with the cluster's reason") {
  PoolFixture f;
  f.cluster->set_assignment(assignment({}));
  Request r(f, nullptr);
  REQUIRE(f.run_until([&] { return r.done(); }));
  CHECK(r.failure().code == Code::no_healthy_upstream);
  CHECK(std::string(r.failure().what) == "the cluster has no endpoints");
}
