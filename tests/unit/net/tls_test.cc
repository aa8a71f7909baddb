#include "proxy/net/tls.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/net/tls_context.h"
#include "proxy/net/tls_transport.h"
#include "tests/unit/net/tls_world.h"

using namespace pillion;
using namespace pillion::net::test;

TEST_CASE("tls: both sides prove who they are, in both versions, whole and one byte at a time") {
  for (const int version : {0x0303, 0x0304}) {
    for (const size_t piece : {size_t{1}, size_t{100}, size_t{1 << 20}}) {
      CAPTURE(version);
      CAPTURE(piece);
      World w(piece);
      Plan server = mutual(web());
      server.config.version_max = version;
      w.connect(server, mutual(cart()));
      CAPTURE(w.client.detail);
      CAPTURE(w.server.detail);
      REQUIRE(w.is_up());
      w.send(w.client, "ping");
      w.send(w.server, "pong");
      w.run();
      CHECK(w.server.received == "ping");
      CHECK(w.client.received == "pong");
      const net::TlsInfo& seen = *w.server.transport->tls();
      CHECK(seen.version == (version == 0x0304 ? "TLSv1.3" : "TLSv1.2"));
      CHECK(seen.peer_uri_san == kCart);
      CHECK(seen.local_uri_san == kWeb);
      CHECK(seen.peer_subject == "CN=cart");
      CHECK(seen.peer_certificate_hash.size() == 64);
      const net::TlsInfo& shown = *w.client.transport->tls();
      CHECK(shown.peer_uri_san == kWeb);
      CHECK(shown.peer_dns_sans == std::vector<std::string>{"web.shop"});
      CHECK(net::peer_chain_der(*w.client.transport).size() == 1);
      CHECK(net::peer_certificate_pem(*w.client.transport, false) == web()->cert_chain);
    }
  }
}

TEST_CASE("tls: idle connections of one peer share what is known of it, and forget nothing") {
  for (const int version : {0x0303, 0x0304}) {
    CAPTURE(version);
    auto with_root = std::make_shared<TlsMaterial>(*cart());
    with_root->cert_chain += mesh().pem();
    Plan server = mutual(web());
    server.config.version_max = version;
    const Plan client = mutual(with_root);
    const auto server_context = net::make_server_context(server.config, server.secrets);
    const auto client_context = net::make_client_context(client.config, client.secrets);
    REQUIRE(server_context.has_value());
    REQUIRE(client_context.has_value());
    World worlds[2];
    for (World& w : worlds) {
      w.connect(*server_context, *client_context);
      w.run();
      REQUIRE(w.is_up());
      const std::vector<std::string> chain = net::peer_chain_der(*w.server.transport);
      const std::string pem = net::peer_certificate_pem(*w.server.transport, true);
      w.executor.timers.advance_to(w.executor.now() + 2 * net::TlsTransport::kIdleAfter);
      w.run();
      CHECK(net::peer_chain_der(*w.server.transport) == chain);
      CHECK(net::peer_certificate_pem(*w.server.transport, true) == pem);
      w.send(w.client, "ping");
      w.send(w.server, "pong");
      w.run();
      CHECK(w.server.received == "ping");
      CHECK(w.client.received == "pong");
    }
    CHECK(net::peer_certificate_pem(*worlds[0].server.transport, true) == with_root->cert_chain);
    CHECK(net::peer_chain_der(*worlds[0].client.transport).size() == 1);
    CHECK(worlds[0].server.transport->tls() == worlds[1].server.transport->tls());
  }
}

TEST_CASE("tls: the end of one direction leaves the other open, and a cut stream ends too") {
  for (const int version : {0x0303, 0x0304}) {
    for (const bool client_first : {true, false}) {
      CAPTURE(version);
      CAPTURE(client_first);
      Plan server = mutual(web());
      server.config.version_max = version;
      World w;
      w.connect(server, mutual(cart()));
      REQUIRE(w.is_up());
      End& first = client_first ? w.client : w.server;
      End& second = client_first ? w.server : w.client;
      w.send(first, "last words");
      first.transport->shutdown_write();
      w.run();
      CHECK(second.received == "last words");
      CHECK(second.eofs == 1);
      w.send(second, "answer");
      w.run();
      CHECK(first.received == "answer");
      CHECK(first.eofs == 0);
      second.transport->shutdown_write();
      w.run();
      CHECK(first.eofs == 1);
      CHECK(first.closes + second.closes == 0);
    }
  }
  World cut;
  cut.connect(mutual(web()), mutual(cart()));
  REQUIRE(cut.is_up());
  cut.client_wire->shutdown_write();  // without close_notify
  cut.run();
  CHECK(cut.server.eofs == 1);
  CHECK(cut.server.closes == 0);
}

TEST_CASE("tls: bytes and the end that arrive together with the end of the handshake are told in order") {
  for (const bool is_reset : {false, true}) {
    CAPTURE(is_reset);
    struct Hasty final : net::HandshakeEvents {
      void on_handshaken(net::TransportPtr t) override {
        transport = std::move(t);
        world->server_wire->pause_reading();
        Chain out;
        out.append(world->executor.chunks, "last words");
        transport->write(std::move(out));
        if (!is_reset) transport->shutdown_write();
      }
      void on_handshake_failed(const Error&, std::string_view text) override { detail = text; }
      World* world = nullptr;
      bool is_reset = false;
      net::TransportPtr transport;
      std::string detail;
    } hasty;
    World w;
    hasty.world = &w;
    hasty.is_reset = is_reset;
    const auto server_context = net::make_server_context(mutual(web()).config, mutual(web()).secrets);
    const auto client_context = net::make_client_context(mutual(cart()).config, mutual(cart()).secrets);
    auto a = std::make_unique<MemoryTransport>(w.executor, 1 << 20);
    auto b = std::make_unique<MemoryTransport>(w.executor, 1 << 20);
    MemoryTransport::join(*a, *b);
    w.server_wire = b.get();
    w.client_handshake = net::start_client_handshake(w.executor, std::move(a), *client_context, {}, hasty);
    w.server_handshake = net::start_server_handshake(w.executor, std::move(b), *server_context, 5s, w.server);
    w.run();
    REQUIRE(w.server.transport == nullptr);
    w.server_wire->resume_reading();
    if (is_reset) w.server_wire->break_behind_bytes();
    w.run();
    CAPTURE(hasty.detail);
    CHECK(w.server.received == "last words");
    CHECK(w.server.eofs == (is_reset ? 0 : 1));
    CHECK(w.server.closes == (is_reset ? 1 : 0));
    hasty.transport.reset();
  }
}

TEST_CASE("tls: of a peer that was only let in no names are told, whoever was believed with that certificate before") {
  for (const bool good_first : {true, false}) {
    CAPTURE(good_first);
    Plan server = mutual(web());
    server.config.has_validation = server.config.require_client_certificate = false;
    Plan client = mutual(cart());
    client.config.validation.trust_chain_verification = false;
    const auto server_context = net::make_server_context(server.config, server.secrets);
    const auto client_context = net::make_client_context(client.config, client.secrets);
    World good, bad;
    const auto connect = [&](World& world, const char* host) {
      world.connect(*server_context, *client_context, {.verify_host = host});
      world.run();
      REQUIRE(world.is_up());
    };
    if (good_first) connect(good, "web.shop");
    connect(bad, "elsewhere.shop");
    if (!good_first) connect(good, "web.shop");
    CHECK(good.client.transport->tls()->peer_uri_san == kWeb);
    CHECK(bad.client.transport->tls()->peer_uri_san == "");
  }
}

TEST_CASE("tls: a pause holds plaintext, the end and leftovers until the last resume") {
  World w;
  w.connect(mutual(web()), mutual(cart()));
  REQUIRE(w.is_up());
  w.server.transport->pause_reading();
  w.server.transport->pause_reading();
  w.send(w.client, std::string(100'000, 'x'));
  w.client.transport->shutdown_write();
  w.run();
  CHECK(w.server.received.empty());
  w.server.transport->resume_reading();
  w.run();
  CHECK(w.server.received.empty());
  w.server.transport->resume_reading();
  CHECK(w.server.received.empty());  // never from inside a verb
  w.run();
  CHECK(w.server.received.size() == 100'000);
  CHECK(w.server.eofs == 1);
}

TEST_CASE("tls: what the owner leaves is shown again, also to the next owner") {
  World w;
  w.connect(mutual(web()), mutual(cart()));
  REQUIRE(w.is_up());
  struct Lazy final : net::TransportEvents {
    void on_bytes(Chain& in) override { seen = in.to_string(); }
    void on_eof() override {}
    void on_writable() override {}
    void on_closed(const Error&) override {}
    std::string seen;
  } lazy;
  w.server.transport->set_events(&lazy);
  w.send(w.client, "one ");
  w.run();
  w.send(w.client, "two");
  w.run();
  CHECK(lazy.seen == "one two");
  w.server.transport->set_events(&w.server);
  w.run();
  CHECK(w.server.received == "one two");
}

TEST_CASE("tls: ten megabytes both ways at once, with a reader that stops") {
  World w(16 * 1024);
  w.connect(mutual(web()), mutual(cart()));
  REQUIRE(w.is_up());
  std::string block(10 << 20, 0);
  for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 7 + i / 251);
  w.server.transport->pause_reading();
  w.send(w.client, block);
  w.send(w.server, block);
  CHECK(w.client.transport->is_congested());
  w.run();
  CHECK(w.client.received == block);  // the other direction does not wait
  CHECK(w.server.writables == 1);
  CHECK(w.client.writables == 0);
  CHECK(w.client.transport->is_congested());
  w.server.transport->resume_reading();
  w.run();
  CHECK(w.server.received == block);
  CHECK(w.client.writables == 1);
  CHECK(w.client.transport->pending_write_bytes() == 0);
  // Full records: what encryption adds is small.
  CHECK(w.client_wire->bytes_written() < block.size() + block.size() / 500);
}

TEST_CASE("tls: whoever finds it congested is told of the end, also when encryption alone has crossed the limit") {
  for (const size_t spare : {0u, 1u, 100u, 1000u}) {
    CAPTURE(spare);
    World w(16 * 1024);
    w.connect(mutual(web()), mutual(cart()));
    REQUIRE(w.is_up());
    w.server.transport->pause_reading();
    w.send(w.client, std::string(net::Transport::kWriteHighBytes - spare, 'x'));
    CHECK(!w.client.transport->is_congested());
    w.run();
    REQUIRE(w.client.transport->is_congested());
    w.server.transport->resume_reading();
    w.run();
    CHECK(!w.client.transport->is_congested());
    CHECK(w.client.writables == 1);
  }
}

TEST_CASE("tls: a session is resumed with the same context, and not with one that judges differently") {
  for (const int version : {0x0303, 0x0304}) {
    CAPTURE(version);
    Plan server = mutual(web());
    server.config.version_max = version;
    Plan client = mutual(cart());
    const auto c = net::make_client_context(client.config, client.secrets);
    const auto s = net::make_server_context(server.config, server.secrets);
    REQUIRE((c && s));
    const auto resumed = [&](const std::shared_ptr<const net::ServerTlsContext>& server_context, std::string sni) {
      World w;
      w.connect(server_context, *c, {.sni = std::move(sni)});
      w.run();
      REQUIRE(w.is_up());
      CHECK(w.server.transport->tls()->peer_uri_san == kCart);
      CHECK(w.client.transport->tls()->peer_uri_san == kWeb);
      return SSL_session_reused(static_cast<net::TlsTransport&>(*w.server.transport).engine().ssl()) == 1;
    };
    CHECK(!resumed(*s, "a"));
    CHECK(resumed(*s, "a"));
    CHECK(resumed(*s, "a"));
    CHECK(!resumed(*s, "b"));  // another identity
    server.config.validation.sans = {exact(config::SanMatcher::Type::uri, kCart)};
    const auto stricter = net::make_server_context(server.config, server.secrets);
    REQUIRE(stricter);
    // Even with the keys of the tickets in common, it is the context that decides.
    unsigned char keys[80];
    REQUIRE(SSL_CTX_get_tlsext_ticket_keys((*s)->ctx(), keys, sizeof(keys)) == 1);
    REQUIRE(SSL_CTX_set_tlsext_ticket_keys((*stricter)->ctx(), keys, sizeof(keys)) == 1);
    CHECK(!resumed(*stricter, "a"));
    CHECK(resumed(*stricter, "a"));
  }
}

TEST_CASE("tls: a request is unseen if nothing of its records was acknowledged below") {
  World w;
  w.connect(mutual(web()), mutual(cart()));
  REQUIRE(w.is_up());
  w.send(w.client, "first");
  w.run();
  const uint64_t below = w.client_wire->bytes_written();
  const uint64_t mark = w.client.transport->bytes_written();
  CHECK(mark == 5);
  w.send(w.client, "second");
  w.run();
  w.client_wire->unseen_after = below;
  CHECK(w.client.transport->was_unseen_since(mark));
  CHECK(w.client_wire->asked_mark == below);
  CHECK(!w.client.transport->was_unseen_since(0));
  w.client_wire->unseen_after = below + 1;
  CHECK(!w.client.transport->was_unseen_since(mark));
}

TEST_CASE("tls: a handshake ends with its time, with the peer, and without an event when dropped") {
  const Plan plan = mutual(web());
  const auto context = net::make_server_context(plan.config, plan.secrets);
  REQUIRE(context);
  for (const int how : {0, 1, 2, 3}) {
    CAPTURE(how);
    World w;
    auto wire = std::make_unique<MemoryTransport>(w.executor, 1000);
    MemoryTransport peer(w.executor, 1000);
    MemoryTransport::join(*wire, peer);
    w.server_handshake = net::start_server_handshake(w.executor, std::move(wire), *context, 5s, w.server);
    w.run();
    CHECK(w.server.failures == 0);
    if (how == 0) w.executor.timers.advance_to(w.executor.now() + 5s);
    if (how == 1) peer.close();
    if (how == 2) w.server_handshake.reset();
    if (how == 3) {
      Chain out;
      out.append(w.executor.chunks, "GET / HTTP/1.1\r\n\r\n");
      peer.write(std::move(out));
    }
    w.run();
    CHECK(w.server.failures == (how == 2 ? 0 : 1));
    if (how == 0) CHECK(w.server.error.code == Code::connect_timeout);
    if (how == 0) CHECK(w.server.detail == "the TLS handshake did not end within 5000 ms");
    if (how == 1) CHECK(w.server.detail == "the peer closed the connection during the TLS handshake");
    if (how == 3) CHECK(w.server.detail == "TLS handshake failed: http request");
    peer.close();
    w.server_handshake.reset();
    w.executor.end_turn();
  }
}

TEST_CASE("tls: bytes that were looked at before the handshake are used first") {
  World w;
  const Plan s = mutual(web());
  const Plan c = mutual(cart());
  const auto server_context = net::make_server_context(s.config, s.secrets);
  const auto client_context = net::make_client_context(c.config, c.secrets);
  REQUIRE((server_context && client_context));
  auto a = std::make_unique<MemoryTransport>(w.executor, 1000);
  auto b = std::make_unique<MemoryTransport>(w.executor, 1000);
  MemoryTransport::join(*a, *b);
  struct Looker final : net::TransportEvents {
    void on_bytes(Chain& in) override { seen = in.size(); }
    void on_eof() override {}
    void on_writable() override {}
    void on_closed(const Error&) override {}
    size_t seen = 0;
  } looker;
  b->set_events(&looker);
  w.client_handshake = net::start_client_handshake(w.executor, std::move(a), *client_context, {}, w.client);
  w.run();
  REQUIRE(looker.seen > 100);
  w.server_handshake = net::start_server_handshake(w.executor, std::move(b), *server_context, 5s, w.server);
  w.run();
  CHECK(w.is_up());
}

TEST_CASE("tls: garbage among the records breaks the connection once") {
  World w;
  w.connect(mutual(web()), mutual(cart()));
  REQUIRE(w.is_up());
  Chain out;
  out.append(w.executor.chunks, std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  w.client_wire->write(std::move(out));
  w.run();
  CHECK(w.server.closes == 1);
  CHECK(w.server.error.code == Code::tls_failed);
  CHECK(w.server.received.empty());
  CHECK(w.client.closes == 1);  // by the alert
  CHECK(w.client.error.code == Code::tls_failed);
}

TEST_CASE("tls: a storm of handshakes is spread over turns, and all of them end") {
  World w;
  const Plan s = mutual(web());
  const Plan c = mutual(cart());
  const auto server_context = net::make_server_context(s.config, s.secrets);
  const auto client_context = net::make_client_context(c.config, c.secrets);
  REQUIRE((server_context && client_context));
  constexpr size_t kStorm = 40;
  std::vector<End> clients(kStorm), servers(kStorm);
  std::vector<std::unique_ptr<net::Handshake>> handshakes;
  for (size_t i = 0; i < kStorm; ++i) {
    auto a = std::make_unique<MemoryTransport>(w.executor, 1 << 20);
    auto b = std::make_unique<MemoryTransport>(w.executor, 1 << 20);
    MemoryTransport::join(*a, *b);
    handshakes.push_back(net::start_client_handshake(w.executor, std::move(a), *client_context, {}, clients[i]));
    handshakes.push_back(net::start_server_handshake(w.executor, std::move(b), *server_context, 5s, servers[i]));
  }
  const auto up = [&] {
    size_t n = 0;
    for (const End& side : servers) n += side.transport != nullptr;
    return n;
  };
  size_t turns = 0;
  for (size_t before = 0; up() < kStorm && turns < 1000; ++turns) {
    w.executor.timers.advance_to(w.executor.now());
    w.executor.end_turn();
    CHECK(up() - before <= 8);
    before = up();
  }
  CHECK(up() == kStorm);
  CHECK(turns > kStorm / 8);
  handshakes.clear();
  clients.clear();
  servers.clear();
  w.executor.end_turn();
}
