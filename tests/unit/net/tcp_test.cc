#include "proxy/net/tcp.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include <doctest/doctest.h>

using namespace pillion;

namespace {

struct Recorder final : net::TransportEvents {
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
  std::string received;
  int eofs = 0, writables = 0, closes = 0;
  Error error;
};

// Two ends of a loopback connection: one a transport on the loop, the other a plain blocking socket.
struct Pair {
  Pair() : loop(1, stats) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    REQUIRE(bind(listener, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    peer = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(connect(peer, reinterpret_cast<sockaddr*>(&address), length) == 0);
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
    REQUIRE(fd >= 0);
    close(listener);
    transport = std::move(*net::adopt_socket(loop, fd));
    transport->set_events(&events);
  }
  ~Pair() {
    transport.reset();
    if (peer >= 0) close(peer);
  }
  template <class Done>
  bool run_until(Done done) {
    for (const Instant end = monotonic_now() + Duration(10'000'000); !done() && monotonic_now() < end;) {
      loop.run_once(false);
    }
    return done();
  }
  void send_text(std::string_view text) {
    Chain out;
    out.append(loop.executor().chunks, text);
    transport->write(std::move(out));
  }

  StatSlab stats;
  event::Loop loop;
  int peer = -1;
  Recorder events;
  std::unique_ptr<net::TcpTransport> transport;
};

}  // namespace

TEST_CASE("tcp: bytes travel both ways and a half-close leaves the other direction open") {
  Pair p;
  REQUIRE(write(p.peer, "hello", 5) == 5);
  CHECK(p.run_until([&] { return p.events.received == "hello"; }));
  shutdown(p.peer, SHUT_WR);
  CHECK(p.run_until([&] { return p.events.eofs == 1; }));
  p.send_text("answer");
  p.loop.run_once(false);
  char buffer[16];
  CHECK(recv(p.peer, buffer, 6, MSG_WAITALL) == 6);
  CHECK(std::string(buffer, 6) == "answer");
  CHECK(p.events.closes == 0);
}

TEST_CASE("tcp: what stands behind urgent data is read too") {
  Pair p;
  for (int i = 0; i < 5; ++i) p.loop.run_once(false);
  REQUIRE(send(p.peer, "abc", 3, 0) == 3);
  REQUIRE(send(p.peer, "!", 1, MSG_OOB) == 1);
  REQUIRE(send(p.peer, "def", 3, 0) == 3);
  CHECK(p.run_until([&] { return p.events.received == "abcdef"; }));
}

TEST_CASE("tcp: on a Unix socket, what stands behind a passed descriptor is read too") {
  StatSlab stats;
  event::Loop loop(1, stats);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0);
  Recorder events;
  auto transport = std::move(*net::adopt_socket(loop, ends[1]));
  transport->set_events(&events);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec bytes{const_cast<char*>("abc"), 3};
  msghdr message{};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const passed = CMSG_FIRSTHDR(&message);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(passed), &ends[0], sizeof(int));
  REQUIRE(sendmsg(ends[0], &message, 0) == 3);
  REQUIRE(send(ends[0], "def", 3, 0) == 3);
  const Instant end = monotonic_now() + Duration(10'000'000);
  while (events.received != "abcdef" && monotonic_now() < end) loop.run_once(false);
  CHECK(events.received == "abcdef");
  transport.reset();
  close(ends[0]);
}

TEST_CASE("tcp: a paused transport shows nothing, and everything after the resume") {
  Pair p;
  p.transport->pause_reading();
  p.transport->pause_reading();
  REQUIRE(write(p.peer, "abc", 3) == 3);
  shutdown(p.peer, SHUT_WR);
  for (int i = 0; i < 50; ++i) p.loop.run_once(false);
  CHECK(p.events.received.empty());
  p.transport->resume_reading();
  for (int i = 0; i < 50; ++i) p.loop.run_once(false);
  CHECK(p.events.received.empty());
  p.transport->resume_reading();
  CHECK(p.run_until([&] { return p.events.eofs == 1; }));
  CHECK(p.events.received == "abc");
}

TEST_CASE("tcp: a slow reader congests the writer, and on_writable comes once it has drained") {
  Pair p;
  const std::string block(1 << 20, 'x');
  size_t sent = 0;
  while (!p.transport->is_congested() && sent < 64 * block.size()) {
    p.send_text(block);
    sent += block.size();
    for (int i = 0; i < 5; ++i) p.loop.run_once(false);
  }
  REQUIRE(p.transport->is_congested());
  CHECK(p.events.writables == 0);
  fcntl(p.peer, F_SETFL, O_NONBLOCK);
  std::string buffer(1 << 16, 0);
  size_t got = 0;
  p.run_until([&] {
    for (ssize_t n; (n = read(p.peer, buffer.data(), buffer.size())) > 0;) got += static_cast<size_t>(n);
    return got == sent;
  });
  CHECK(got == sent);
  CHECK(p.events.writables == 1);
  CHECK(p.transport->pending_write_bytes() == 0);
}

TEST_CASE("tcp: a reset by the peer is told once, and a close lets pending bytes leave") {
  Pair broken;
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(broken.peer, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(broken.peer);
  broken.peer = -1;
  CHECK(broken.run_until([&] { return broken.events.closes == 1; }));
  CHECK(broken.events.error.code == Code::peer_reset);
  CHECK(broken.events.error.os == ECONNRESET);

  Pair lingering;
  const std::string block(8 << 20, 'y');
  lingering.send_text(block);
  lingering.transport->close();
  fcntl(lingering.peer, F_SETFL, O_NONBLOCK);
  std::string buffer(1 << 16, 0);
  size_t got = 0;
  bool ended = false;
  lingering.run_until([&] {
    ssize_t n;
    while ((n = read(lingering.peer, buffer.data(), buffer.size())) > 0) got += static_cast<size_t>(n);
    ended = n == 0;
    return ended;
  });
  CHECK(got == block.size());
  CHECK(ended);
  CHECK(lingering.events.closes == 0);
}

TEST_CASE("tcp: what the peer said before it reset is read, though writing fails first") {
  Pair p;
  p.send_text("a request");
  p.loop.run_once(false);
  REQUIRE(write(p.peer, "refused", 7) == 7);
  close(p.peer);  // with unread bytes, so that a reset follows at once
  p.peer = -1;
  p.send_text("more of it");
  p.transport->set_events(&p.events);
  static_cast<event::Flushable&>(*p.transport).flush();  // before anything is read, as when the reset is on its way
  CHECK(p.events.closes == 0);
  CHECK(p.run_until([&] { return p.events.closes == 1; }));
  CHECK(p.events.received == "refused");
  CHECK(p.events.error.code == Code::peer_reset);
  CHECK(p.events.eofs == 0);
}

TEST_CASE("tcp: a reset that a write meets is told also to an owner who does not read") {
  Pair p;
  p.send_text("a request");
  p.loop.run_once(false);
  SUBCASE("who paused before it") {
    p.transport->pause_reading();
  }
  SUBCASE("who pauses behind it") {}
  REQUIRE(write(p.peer, "refused", 7) == 7);
  close(p.peer);
  p.peer = -1;
  p.send_text("more of it");
  const uint64_t mark = p.transport->bytes_written();
  static_cast<event::Flushable&>(*p.transport).flush();
  const bool told_at_once = p.events.closes == 1;
  if (!told_at_once) p.transport->pause_reading();
  p.send_text("into nothing");
  CHECK(p.run_until([&] { return p.events.closes == 1; }));
  CHECK(p.events.error.code == Code::peer_reset);
  CHECK(p.transport->bytes_written() == mark);
  CHECK(p.transport->was_unseen_since(mark) == !told_at_once);
}
