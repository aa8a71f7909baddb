#pragma once

#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "perf/openloop/client.h"
#include "perf/openloop/histogram.h"

namespace openloop {

std::unique_ptr<Client> make_client(bool http2, Poller& poller, const Target& target, Driver& driver);

// Sends at instants that do not depend on the answers: independent users, whose gaps are exponential with the same seed
// in every run. A request that finds no connection with room waits, and its waiting counts, because latency is taken
// from the instant at which it should have been sent.
class OpenLoop final : public Driver {
 public:
  struct Options {
    double rate = 1000;
    double seconds = 1;
    double warm_seconds = 0.3;  // Sent and answered, but not counted.
    uint64_t spin_ns = 0;       // How long before an instant the loop stops sleeping.
  };

  OpenLoop(Poller& poller, const Options& options) : poller_(poller), options_(options) {}
  void run(std::vector<std::unique_ptr<Client>>& clients);

  const Histogram& latency() const { return latency_; }
  // How late this program itself took requests from its schedule.
  const Histogram& lateness() const { return lateness_; }
  uint64_t unanswered() const { return unanswered_; }

  void on_ready(Client& client) override;
  void on_answer(Client& client, uint64_t intended) override;
  void on_ended(Client&) override { spoil("a connection was closed"); }

 private:
  void take_due();
  void send_waiting();

  Poller& poller_;
  Options options_;
  Histogram latency_, lateness_;
  std::mt19937_64 random_{1};
  std::deque<uint64_t> waiting_;
  std::deque<Client*> free_;  // Each connection as often as it has room; the one that waited longest is taken.
  uint64_t next_ns_ = 0, counted_from_ns_ = 0, end_ns_ = 0;
  uint64_t unanswered_ = 0;
  size_t ready_ = 0;
};

// Connect, handshake, one request, close, again and again on each of the clients.
class ConnectLoop final : public Driver {
 public:
  ConnectLoop(Poller& poller, bool resume) : poller_(poller), resume_(resume) {}
  // Returns the connections that were made, served and closed. To be resumed, each client has its own session, the
  // newest that its last connection was given.
  uint64_t run(std::vector<std::unique_ptr<Client>>& clients, double seconds);
  static int keep_session(SSL* ssl, SSL_SESSION* session);

  void on_ready(Client& client) override;
  void on_answer(Client&, uint64_t) override {}
  void on_ended(Client& client) override;

 private:
  struct Slot {
    SSL_SESSION* session = nullptr;
    bool offered = false;
  };
  Slot& slot_of(const Client& client);
  void connect(Client& client);

  Poller& poller_;
  bool resume_;
  std::vector<std::unique_ptr<Client>>* clients_ = nullptr;
  std::vector<Slot> slots_;
  uint64_t done_ = 0;
  uint64_t end_ns_ = 0;
  size_t running_ = 0;
};

// Opens connections one after another, has one answer on each, and then leaves them alone.
class IdleLoop final : public Driver {
 public:
  explicit IdleLoop(Poller& poller) : poller_(poller) {}
  void run(std::vector<std::unique_ptr<Client>>& clients);
  void on_ready(Client& client) override { client.send(0); }
  void on_answer(Client&, uint64_t) override { answered_++; }
  void on_ended(Client&) override { spoil("an idle connection was closed"); }

 private:
  Poller& poller_;
  size_t answered_ = 0;
};

// Frames of WebSocket to and fro, one at a time on each connection; returns how many came back.
uint64_t websocket_loop(Poller& poller, const Target& target, int connections, size_t frame_bytes, double seconds);

// The server of these: accepts an upgrade, then sends every frame's payload back. Runs until it is killed.
[[noreturn]] void websocket_echo(const sockaddr_in& address);

}  // namespace openloop
