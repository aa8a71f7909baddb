#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace openloop {

uint64_t now_ns();

class Link;

// One epoll set. A link is never destroyed while the poller runs, so an event always finds it.
class Poller {
 public:
  Poller();

  // Waits for events until `deadline_ns` (of now_ns) and lets the links handle them. The kernel wakes with the
  // precision of its timers, since the process has asked for no slack.
  void wait(uint64_t deadline_ns);

  void watch(int fd, uint32_t events, Link* link, bool is_new);

 private:
  int epoll_;
};

class LinkEvents {
 public:
  virtual void on_open() = 0;
  virtual void on_bytes(std::string_view bytes) = 0;
  virtual void on_closed(const std::string& why) = 0;  // Empty for an orderly end by the peer.

 protected:
  ~LinkEvents() = default;
};

// A socket that does not block, with TLS on it where a context is given. It may be connected again after it was closed.
class Link {
 public:
  Link(Poller& poller, LinkEvents& events) : poller_(poller), events_(events) {}
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;
  ~Link() { close(); }

  // `session` is one to resume, or null.
  void connect(const sockaddr_in& to, SSL_CTX* context, SSL_SESSION* session);
  void adopt(int fd);  // A connection that was accepted.
  void write(std::string_view bytes);
  void close();
  bool is_open() const { return state_ == State::open; }
  SSL* ssl() const { return ssl_; }

  void on_ready(uint32_t events);

 private:
  enum class State : uint8_t { closed, connecting, handshake, open };

  void fail(const std::string& why);
  void handshake();
  void opened();
  void read();
  void flush();
  void want_write(bool wanted);

  Poller& poller_;
  LinkEvents& events_;
  State state_ = State::closed;
  int fd_ = -1;
  SSL* ssl_ = nullptr;
  std::string output_;
  bool wants_write_ = false;
};

}  // namespace openloop
