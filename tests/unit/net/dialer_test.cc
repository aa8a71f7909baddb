#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/net/listener.h"
#include "proxy/net/original_dst.h"
#include "proxy/net/tcp.h"
#include "proxy/net/tcp_dialer.h"

using namespace pillion;

namespace {

struct Accepted final : net::AcceptEvents {
  void on_accept(int fd) override { fds.push_back(fd); }
  ~Accepted() {
    for (const int fd : fds) close(fd);
  }
  std::vector<int> fds;
};

struct Dialed final : net::DialEvents {
  void on_dialed(net::TransportPtr t) override { transport = std::move(t); }
  void on_dial_failed(const Error& why) override {
    ++failures;
    error = why;
  }
  net::TransportPtr transport;
  int failures = 0;
  Error error;
};

struct Fixture {
  Fixture() : loop(7, stats), dialer(loop) {}
  template <class Done>
  bool run_until(Done done) {
    for (int turn = 0; turn < 5000 && !done(); ++turn) loop.run_once(false);
    return done();
  }
  StatSlab stats;
  event::Loop loop;
  net::TcpDialer dialer;
};

}  // namespace

TEST_CASE("dialer: reaches a listener, over IPv4 and IPv6, and both ends agree on the addresses") {
  for (const char* ip : {"127.0.0.1", "::1"}) {
    CAPTURE(ip);
    Fixture f;
    Accepted accepted;
    auto listener = net::Listener::open(f.loop, {.address = *Address::parse_ip(ip, 0)}, accepted);
    REQUIRE(listener.has_value());
    REQUIRE((*listener)->local_address().port() != 0);
    Dialed dialed;
    auto dial = f.dialer.dial({.remote = (*listener)->local_address()}, dialed);
    CHECK(dialed.transport == nullptr);  // never from inside dial()
    REQUIRE(f.run_until([&] { return dialed.transport != nullptr && accepted.fds.size() == 1; }));
    CHECK(dialed.transport->peer_address() == (*listener)->local_address());
    CHECK(!net::original_destination(accepted.fds[0]));  // nothing redirected it
  }
}

TEST_CASE("dialer: a refused connection is told once, as safe to try elsewhere") {
  Fixture f;
  Address closed_port;
  {
    Accepted accepted;
    auto listener = net::Listener::open(f.loop, {.address = *Address::parse_ip("127.0.0.1", 0)}, accepted);
    REQUIRE(listener.has_value());
    closed_port = (*listener)->local_address();
  }
  Dialed dialed;
  auto dial = f.dialer.dial({.remote = closed_port}, dialed);
  REQUIRE(f.run_until([&] { return dialed.failures == 1; }));
  CHECK(dialed.error.code == Code::connect_failed);
  CHECK(dialed.error.retry == Retry::safe);
  CHECK(dialed.error.os == ECONNREFUSED);
}

TEST_CASE("dialer: dropping a dial cancels it without an event") {
  Fixture f;
  Accepted accepted;
  auto listener = net::Listener::open(f.loop, {.address = *Address::parse_ip("127.0.0.1", 0)}, accepted);
  REQUIRE(listener.has_value());
  Dialed dialed;
  f.dialer.dial({.remote = (*listener)->local_address()}, dialed).reset();
  for (int i = 0; i < 100; ++i) f.loop.run_once(false);
  CHECK(dialed.transport == nullptr);
  CHECK(dialed.failures == 0);
}

TEST_CASE("listener: an address in use is an error that says so") {
  Fixture f;
  Accepted accepted;
  auto first = net::Listener::open(f.loop, {.address = *Address::parse_ip("127.0.0.1", 0)}, accepted);
  REQUIRE(first.has_value());
  auto second = net::Listener::open(f.loop, {.address = (*first)->local_address()}, accepted);
  REQUIRE(!second.has_value());
  CHECK(second.error().os == EADDRINUSE);
}
