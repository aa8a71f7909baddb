#include "proxy/upstream/connection.h"

#include <doctest/doctest.h>

#include "tests/unit/upstream/pool_fixture.h"

using namespace pillion;
using namespace pillion::test;
using Kind = sim::Reaction::Kind;
using Protocol = config::Cluster::Protocol;

namespace {

config::Cluster h2() {
  config::Cluster c;
  c.protocol = Protocol::http2;
  return c;
}

}  // namespace

TEST_CASE("connection: an idle one closes after idle_timeout, counted from its last request") {
  config::Cluster c;
  c.idle_timeout = Duration{1'000'000};
  PoolFixture f(c);
  Get a(f.pool());
  REQUIRE(f.run_until([&] { return a.ok(); }));
  f.world.run_for(Duration{600'000});
  Get b(f.pool());
  REQUIRE(f.run_until([&] { return b.ok(); }));
  CHECK(b.reused);
  f.world.run_for(Duration{900'000});
  CHECK(f.stat("upstream_cx_active") == 1);
  f.world.run_for(Duration{200'000});
  CHECK(f.stat("upstream_cx_active") == 0);
  CHECK(f.stat("upstream_cx_idle_timeout") == 1);
  CHECK(f.origins[0]->open() == 0);
}

TEST_CASE("connection: max_requests_per_connection and max_connection_duration end it between requests") {
  config::Cluster c;
  c.max_requests_per_connection = 2;
  PoolFixture f(c);
  for (int i = 0; i < 4; ++i) {
    Get get(f.pool());
    REQUIRE(f.run_until([&] { return get.ok(); }));
  }
  CHECK(f.dialer.dials == 2);
  CHECK(f.stat("upstream_cx_max_requests") == 2);

  config::Cluster aging;
  aging.max_connection_duration = Duration{1'000'000};
  PoolFixture g(aging);
  g.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{2'000'000}}; };
  Get long_one(g.pool());
  REQUIRE(g.run_until([&] { return long_one.ok(); }));  // is not cut
  CHECK(g.stat("upstream_cx_max_duration_reached") == 1);
  CHECK(g.stat("upstream_cx_active") == 0);
}

TEST_CASE("connection: a peer that says connection: close is not asked again") {
  PoolFixture f;
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.close_after = true}; };
  for (int i = 0; i < 3; ++i) {
    Get get(f.pool());
    REQUIRE(f.run_until([&] { return get.ok(); }));
    CHECK(!get.reused);
  }
  CHECK(f.dialer.dials == 3);
}

TEST_CASE("connection: after GOAWAY what runs is finished and what is new goes elsewhere") {
  PoolFixture f(h2(), {"10.0.0.1:80"}, true);
  f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.delay = Duration{10'000}}; };
  Get first(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return f.origins[0]->requests.size() == 1; }));
  f.origins[0]->drain_all();
  f.world.run_for(Duration{1'000});
  Get second(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return first.done() && second.done(); }));
  CHECK(first.ok());
  CHECK(second.ok());
  CHECK(f.dialer.dials == 2);
  f.world.run_for(Duration{1'000});
  CHECK(f.stat("upstream_cx_active") == 1);
}

TEST_CASE("connection: a stream that the peer resets leaves the others alone") {
  PoolFixture f(h2(), {"10.0.0.1:80"}, true);
  int n = 0;
  f.origins[0]->script = [&](const sim::SeenRequest&) {
    return sim::Reaction{.kind = n++ == 0 ? Kind::reset : Kind::answer, .delay = Duration{1'000}};
  };
  Get a(f.pool(Protocol::http2)), b(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return a.done() && b.done(); }));
  CHECK(a.failure);
  CHECK(b.ok());
  CHECK(f.stat("upstream_cx_active") == 1);
}

TEST_CASE("connection: what is given back early closes HTTP/1 and only resets the stream of HTTP/2") {
  for (const bool http2 : {false, true}) {
    CAPTURE(http2);
    PoolFixture f({}, {"10.0.0.1:80"}, http2);
    f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.kind = Kind::hang}; };
    {
      Get get(f.pool(http2 ? Protocol::http2 : Protocol::http1));
      REQUIRE(f.run_until([&] { return f.origins[0]->requests.size() == 1; }));
    }
    f.world.run_for(Duration{10'000});
    CHECK(f.stat("upstream_cx_active") == (http2 ? 1 : 0));
    CHECK(f.origins[0]->open() == (http2 ? 1 : 0));
  }
}

TEST_CASE("connection: HTTP/2 keep-alive finds a peer that has fallen silent") {
  config::Cluster c = h2();
  c.h2_keepalive_interval = Duration{1'000'000};
  c.h2_keepalive_timeout = Duration{200'000};
  PoolFixture f(c, {"10.0.0.1:80"}, true);
  Get first(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return first.ok(); }));
  f.world.run_for(Duration{5'000'000});
  CHECK(f.stat("upstream_cx_active") == 1);  // it answers its PINGs
  f.network.links.at(0).lock()->silence();
  Get lost(f.pool(Protocol::http2));
  REQUIRE(f.run_until([&] { return lost.done(); }, Duration{1'300'000}));
  REQUIRE(lost.failure);
  CHECK(lost.failure->code == Code::idle_timeout);
  CHECK(f.stat("upstream_cx_active") == 0);
}

TEST_CASE("connection: what a lost request proves about itself") {
  // The peer closes the idle connection while the next request is on its way to it.
  PoolFixture f;
  Get first(f.pool());
  REQUIRE(f.run_until([&] { return first.ok(); }));
  f.origins[0]->close_all();
  Get stale(f.pool());
  REQUIRE(stale.is_running());
  upstream::Connection& connection = *stale.connection;
  CHECK(connection.is_reused());
  const uint64_t mark = connection.write_mark();
  f.world.run_for(Duration{50});
  CHECK(connection.write_mark() > mark);
  REQUIRE(f.run_until([&] { return stale.done(); }));
  REQUIRE(stale.failure);
  CHECK(stale.failure->code == Code::peer_closed);
  CHECK(stale.failure->retry == Retry::if_reused);
  CHECK(f.stat("upstream_cx_destroy_remote") == 1);
}

TEST_CASE("connection: a response that breaks the protocol ends it and is counted") {
  struct Babbler final : sim::Acceptor {
    void on_accept(std::unique_ptr<sim::LinkEnd> t) override {
      transport = std::move(t);
      Chain words;
      words.append(chunks, "these are not the words of any HTTP\r\n\r\n");
      transport->write(std::move(words));
    }
    ChunkPool chunks;
    std::unique_ptr<sim::LinkEnd> transport;
  };
  for (const Protocol protocol : {Protocol::http1, Protocol::http2}) {
    PoolFixture f;
    Babbler babbler;
    f.origins[0]->host().acceptor = &babbler;
    Get get(f.pool(protocol));
    REQUIRE(f.run_until([&] { return get.done(); }));
    REQUIRE(get.failure);
    CHECK(get.failure->side == Side::upstream);
    // HTTP/2 tells the peer first, and by then only the streams know why.
    if (protocol == Protocol::http1) CHECK(f.stat("upstream_cx_protocol_error") == 1);
    f.world.run_for(Duration{1'000});
    CHECK(f.stat("upstream_cx_active") == 0);
  }
}

TEST_CASE("connection: bodies arrive whole however the network cuts them, and while the reader pauses nothing comes") {
  for (const size_t piece : {1u, 7u, 1000u}) {
    CAPTURE(piece);
    PoolFixture f;
    f.origins[0]->host().link = {
        .latency = Duration{100}, .jitter = Duration{50}, .piece_bytes_max = piece, .window_bytes = 4096};
    f.origins[0]->script = [](const sim::SeenRequest&) { return sim::Reaction{.body_bytes = 20'000}; };
    Get get(f.pool());
    REQUIRE(f.run_until([&] { return get.body > 1000; }));
    get.connection->pause_reading();
    const size_t before = get.body;
    f.world.run_for(Duration{1'000'000});
    CHECK(get.body == before);
    get.connection->resume_reading();
    REQUIRE(f.run_until([&] { return get.ok(); }, Duration{100'000'000}));
    CHECK(get.body == 20'000);
  }
}
