#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "perf/openloop/link.h"

namespace openloop {

// What all clients of a run have in common.
struct Target {
  sockaddr_in address{};
  std::string authority;
  std::string path = "/";
  std::vector<std::string> headers;  // "name: value"
  SSL_CTX* context = nullptr;
  int streams = 1;  // At most that many requests at a time on a connection of HTTP/2.
  bool close_after_answer = false;
};

class Client;

// Ends the program: a run in which anything but a good answer came has no result.
[[noreturn]] void spoil(const std::string& why);

// Whoever decides when a client sends.
class Driver {
 public:
  virtual void on_ready(Client& client) = 0;                      // The connection is open.
  virtual void on_answer(Client& client, uint64_t intended) = 0;  // A good answer, all of it.
  virtual void on_ended(Client& client) = 0;                      // The peer closed after the last answer.

 protected:
  ~Driver() = default;
};

// One connection. `intended` is when a request should have been sent; it comes back with the answer.
class Client {
 public:
  virtual ~Client() = default;
  virtual void connect(SSL_SESSION* session = nullptr) = 0;
  virtual bool has_room() const = 0;
  virtual void send(uint64_t intended) = 0;
  virtual void close() = 0;
  virtual SSL* ssl() const = 0;
};

class Http1Client final : public Client, private LinkEvents {
 public:
  Http1Client(Poller& poller, const Target& target, Driver& driver);
  void connect(SSL_SESSION* session) override;
  bool has_room() const override { return link_.is_open() && !waiting_; }
  void send(uint64_t intended) override;
  void close() override { link_.close(); }
  SSL* ssl() const override { return link_.ssl(); }

 private:
  void on_open() override { driver_.on_ready(*this); }
  void on_bytes(std::string_view bytes) override;
  void on_closed(const std::string& why) override;
  bool parse_head();

  const Target& target_;
  Driver& driver_;
  Link link_;
  std::string request_;
  std::string head_;
  bool waiting_ = false;
  bool in_body_ = false;
  uint64_t body_left_ = 0;
  uint64_t intended_ = 0;
};

class Http2Client final : public Client, private LinkEvents {
 public:
  Http2Client(Poller& poller, const Target& target, Driver& driver);
  ~Http2Client() override;
  void connect(SSL_SESSION* session) override;
  bool has_room() const override { return link_.is_open() && open_streams_ < target_.streams; }
  void send(uint64_t intended) override;
  void close() override { link_.close(); }
  SSL* ssl() const override { return link_.ssl(); }

  // === nghttp2 calls these ===
  void on_status(std::string_view status);
  void on_stream_closed(int32_t stream, uint32_t error);

 private:
  void on_open() override;
  void on_bytes(std::string_view bytes) override;
  void on_closed(const std::string& why) override;
  void flush();

  const Target& target_;
  Driver& driver_;
  Link link_;
  nghttp2_session* session_ = nullptr;
  std::vector<nghttp2_nv> fields_;
  std::vector<std::string> texts_;
  int open_streams_ = 0;
  bool feeding_ = false;
};

}  // namespace openloop
