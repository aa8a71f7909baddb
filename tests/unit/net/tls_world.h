// Two sides of a TLS connection over memory, and the identities that they use.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include <doctest/doctest.h>

#include "proxy/net/tls.h"
#include "tests/unit/net/memory_transport.h"
#include "tests/unit/net/tls_pki.h"

namespace pillion::net::test {

inline const Authority& mesh() {
  static const Authority authority("mesh root");
  return authority;
}

inline constexpr char kWeb[] = "spiffe://mesh/ns/shop/sa/web";
inline constexpr char kCart[] = "spiffe://mesh/ns/shop/sa/cart";

inline std::shared_ptr<const TlsMaterial> web() {
  static const auto material =
      mesh().issue({.common_name = "web", .sans = std::string("URI:") + kWeb + ",DNS:web.shop"});
  return material;
}
inline std::shared_ptr<const TlsMaterial> cart() {
  static const auto material = mesh().issue({.common_name = "cart", .sans = std::string("URI:") + kCart});
  return material;
}

// One side: what the context is made of.
struct Plan {
  config::TlsContext config;
  net::TlsSecrets secrets;
};

inline Plan mutual(std::shared_ptr<const TlsMaterial> certificate) {
  Plan plan;
  plan.secrets.certificates.push_back(std::move(certificate));
  plan.secrets.trust = mesh().trust();
  plan.config.has_validation = true;
  plan.config.require_client_certificate = true;
  return plan;
}

inline config::SanMatcher exact(config::SanMatcher::Type type, std::string text) {
  return {type, {.kind = config::StringMatcher::Kind::exact, .text = std::move(text)}};
}

struct End final : net::HandshakeEvents, net::TransportEvents {
  void on_handshaken(net::TransportPtr t) override {
    transport = std::move(t);
    transport->set_events(this);
  }
  void on_handshake_failed(const Error& why, std::string_view text) override {
    ++failures;
    error = why;
    detail = text;
  }
  void on_bytes(Chain& in) override {
    received += in.to_string();
    in.clear();
  }
  void on_eof() override { ++eofs; }
  void on_writable() override { ++writables; }
  void on_closed(const Error& why) override {
    ++closes;
    error = why;
  }
  net::TransportPtr transport;
  std::string received, detail;
  int failures = 0, eofs = 0, writables = 0, closes = 0;
  Error error;
};

// A client and a server with memory between them.
struct World {
  explicit World(size_t piece = 1 << 20) : executor(monotonic_now(), 1, stats), piece_(piece) {}
  ~World() {
    client_handshake.reset();
    server_handshake.reset();
    client.transport.reset();
    server.transport.reset();
    executor.end_turn();
  }
  void connect(std::shared_ptr<const net::ServerTlsContext> s, std::shared_ptr<const net::ClientTlsContext> c,
               const net::ClientHandshakeOptions& options = {}) {
    auto a = std::make_unique<MemoryTransport>(executor, piece_);
    auto b = std::make_unique<MemoryTransport>(executor, piece_);
    MemoryTransport::join(*a, *b);
    client_wire = a.get();
    server_wire = b.get();
    client_handshake = net::start_client_handshake(executor, std::move(a), std::move(c), options, client);
    server_handshake = net::start_server_handshake(executor, std::move(b), std::move(s), 5s, server);
    CHECK(client.transport == nullptr);
  }
  void connect(const Plan& s, const Plan& c, const net::ClientHandshakeOptions& options = {}) {
    auto server_context = net::make_server_context(s.config, s.secrets);
    REQUIRE_MESSAGE(server_context.has_value(), server_context.error());
    auto client_context = net::make_client_context(c.config, c.secrets);
    REQUIRE_MESSAGE(client_context.has_value(), client_context.error());
    connect(*server_context, *client_context, options);
    run();
  }
  void run() {
    for (int turn = 0; turn < 50; ++turn) {
      executor.timers.advance_to(executor.now() + 1us);
      executor.end_turn();
    }
  }
  bool is_up() const { return client.transport != nullptr && server.transport != nullptr; }
  void send(End& from, std::string_view text) {
    Chain out;
    out.append(executor.chunks, text);
    from.transport->write(std::move(out));
  }

  StatSlab stats;
  event::Executor executor;
  size_t piece_;
  End client, server;
  MemoryTransport* client_wire = nullptr;
  MemoryTransport* server_wire = nullptr;
  std::unique_ptr<net::Handshake> client_handshake, server_handshake;
};

}  // namespace pillion::net::test
