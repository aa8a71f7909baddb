#include "proxy/route/retry.h"

#include <doctest/doctest.h>

#include "tests/unit/route/attempt_fixture.h"

using namespace pillion;
using namespace pillion::test;
using config::RetryOn;
using Kind = sim::Reaction::Kind;

namespace {

config::RetryPolicy policy(std::initializer_list<RetryOn> on, uint32_t retries_max = 1) {
  config::RetryPolicy p;
  for (const RetryOn bit : on) p.on |= static_cast<uint32_t>(bit);
  p.retries_max = retries_max;
  return p;
}

config::Cluster speaking(bool http2) {
  config::Cluster c;
  c.protocol = http2 ? config::Cluster::Protocol::http2 : config::Cluster::Protocol::http1;
  return c;
}

}  // namespace

TEST_CASE("retry: which failures which condition covers") {
  struct Case {
    const char* name;
    sim::Reaction reaction;
    RetryOn on;
    bool http2;
    bool want;
  };
  const Case kCases[] = {
      {"5xx, 500", {.status = 500}, RetryOn::server_error, false, true},
      {"5xx, 404", {.status = 404}, RetryOn::server_error, false, false},
      {"5xx, reset", {.kind = Kind::reset}, RetryOn::server_error, false, true},
      {"gateway-error, 503", {.status = 503}, RetryOn::gateway_error, false, true},
      {"gateway-error, 500", {.status = 500}, RetryOn::gateway_error, false, false},
      {"reset, reset", {.kind = Kind::reset}, RetryOn::reset, false, true},
      {"reset, HTTP/2 reset", {.kind = Kind::reset}, RetryOn::reset, true, true},
      {"connect-failure, reset", {.kind = Kind::reset}, RetryOn::connect_failure, false, false},
      {"retriable-4xx, 409", {.status = 409}, RetryOn::retriable_4xx, false, true},
      {"a body that was cut comes too late",
       {.kind = Kind::cut_in_body, .body_bytes = 100},
       RetryOn::reset,
       false,
       false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    PoolFixture f(speaking(c.http2), {"10.0.0.1:80"}, c.http2);
    bool first = true;
    f.origins[0]->script = [&](const sim::SeenRequest&) {
      return std::exchange(first, false) ? c.reaction : sim::Reaction{};
    };
    const config::RetryPolicy p = policy({c.on});
    Request r(f, &p, "POST");
    REQUIRE(f.run_until([&] { return r.done(); }));
    CHECK(r.attempts == (c.want ? 2 : 1));
    if (c.want) CHECK(r.status() == 200);
    CHECK(f.stat("upstream_rq_retry") == (c.want ? 1 : 0));
    CHECK(f.shared->breakers()[0].retries == 0);
  }
}

TEST_CASE("retry: connect failures and per-try timeouts are tried elsewhere") {
  for (const bool timeout : {false, true}) {
    CAPTURE(timeout);
    PoolFixture f({}, {"10.0.0.1:80", "10.0.0.2:80"});
    if (timeout) {
      f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = Kind::hang}; };
    } else {
      f.origins[0]->host().fault = sim::Host::Fault::refuse;
    }
    const config::RetryPolicy p = policy({RetryOn::connect_failure, RetryOn::gateway_error});
    for (int i = 0; i < 6; ++i) {
      route::AttemptOptions options;
      options.per_try_timeout = Duration{50'000};
      options.pick.attempts_max = 20;
      Request r(f, &p, "POST", options);
      REQUIRE(f.run_until([&] { return r.done(); }));
      CHECK(r.status() == 200);
      CHECK(r.attempts <= 2);
    }
    CHECK(f.stat("upstream_rq_retry") >= 2);
  }
}

TEST_CASE("retry: the number of retries is a limit, and so is the cluster's budget") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.status = 503}; };
  const config::RetryPolicy p = policy({RetryOn::server_error}, 3);
  Request r(f, &p);
  REQUIRE(f.run_until([&] { return r.done(); }));
  CHECK(r.attempts == 4);
  CHECK(r.status() == 503);
  CHECK(r.last.limit_exceeded);
  CHECK(f.stat("upstream_rq_retry_limit_exceeded") == 1);

  config::Cluster tight;
  tight.breakers[0].retries_max = 1;
  PoolFixture g(tight);
  g.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.status = 503}; };
  Request a(g, &p), b(g, &p);
  REQUIRE(g.run_until([&] { return a.done() && b.done(); }));
  CHECK((a.last.budget_exceeded || b.last.budget_exceeded));
  CHECK(g.stat("upstream_rq_retry_overflow") == 1);
  CHECK(g.shared->breakers()[0].retries == 0);
}

TEST_CASE("retry: a refused stream is sent again without any policy") {
  PoolFixture f(speaking(true), {"10.0.0.1:80"}, true);
  bool first = true;
  f.origins[0]->script = [&](const sim::SeenRequest&) {
    return sim::Reaction{.kind = std::exchange(first, false) ? Kind::refuse : Kind::answer};
  };
  Request r(f, nullptr, "POST");
  REQUIRE(f.run_until([&] { return r.done(); }));
  CHECK(r.status() == 200);
  CHECK(r.safe_replays == 1);
  CHECK(f.stat("upstream_rq_safe_replay") == 1);
  CHECK(f.stat("upstream_rq_retry") == 0);
}

TEST_CASE("retry: a request lost on a reused connection is sent again if it may run twice or provably did not run") {
  struct Case {
    const char* name;
    const char* method;
    bool processed;  // the origin had it, and then closed
    bool want;
  };
  static constexpr Case kCases[] = {
      {"GET that crossed the FIN", "GET", false, true},
      {"POST that crossed the FIN: nobody acknowledged it", "POST", false, true},
      {"GET that the origin had", "GET", true, true},
      {"POST that the origin had", "POST", true, false},
  };
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    PoolFixture f;
    {
      Request warm(f, nullptr);
      REQUIRE(f.run_until([&] { return warm.done(); }));
    }
    if (c.processed) {
      f.origins[0]->script = [](const sim::SeenRequest& seen) {
        return sim::Reaction{.kind = seen.connection == 1 ? Kind::close : Kind::answer};
      };
    } else {
      f.origins[0]->close_all();
    }
    Request r(f, nullptr, c.method);
    REQUIRE(f.run_until([&] { return r.done(); }));
    CHECK((r.status() == 200) == c.want);
    CHECK(r.safe_replays == (c.want ? 1 : 0));
  }
}

TEST_CASE("retry: a request lost on a fresh connection is not sent again without a policy") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = Kind::close}; };
  Request r(f, nullptr, "GET");
  REQUIRE(f.run_until([&] { return r.done(); }));
  CHECK(r.attempts == 1);
  CHECK(r.failure().code == Code::peer_closed);
}

TEST_CASE("retry: the back-off grows, is drawn from the whole interval, and ends at its maximum") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.status = 503}; };
  config::RetryPolicy p = policy({RetryOn::server_error}, 8);
  p.backoff_base = Duration{10'000};
  p.backoff_max = Duration{80'000};
  Request r(f, &p);
  std::vector<Duration> waits;
  size_t seen = 0;
  REQUIRE(f.run_until([&] {
    if (r.attempts != seen) {
      seen = r.attempts;
      if (seen > 1) waits.push_back(r.last.backoff);
    }
    return r.done();
  }));
  REQUIRE(waits.size() == 8);
  for (size_t i = 0; i < waits.size(); ++i) {
    CAPTURE(i);
    CHECK(waits[i] < std::min(p.backoff_base * ((int64_t{1} << (i + 1)) - 1), p.backoff_max));
  }
}
