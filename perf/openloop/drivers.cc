#include "perf/openloop/drivers.h"

#include <algorithm>
#include <cmath>

namespace openloop {

namespace {
constexpr uint64_t kConnectNs = 10'000'000'000;
constexpr uint64_t kLastAnswersNs = 2'000'000'000;
constexpr size_t kConnectingAtOnce = 50;
constexpr uint64_t kTurnNs = 10'000'000;
}  // namespace

std::unique_ptr<Client> make_client(bool http2, Poller& poller, const Target& target, Driver& driver) {
  if (http2) return std::make_unique<Http2Client>(poller, target, driver);
  return std::make_unique<Http1Client>(poller, target, driver);
}

// === open loop ===

void OpenLoop::on_ready(Client& client) {
  ready_++;
  free_.push_back(&client);
}

void OpenLoop::on_answer(Client& client, uint64_t intended) {
  unanswered_--;
  if (intended >= counted_from_ns_) latency_.add(now_ns() - intended);
  free_.push_back(&client);
  send_waiting();
}

void OpenLoop::send_waiting() {
  while (!waiting_.empty() && !free_.empty()) {
    Client* client = free_.front();
    free_.pop_front();
    if (!client->has_room()) continue;
    client->send(waiting_.front());
    waiting_.pop_front();
    if (client->has_room()) free_.push_back(client);
  }
}

void OpenLoop::take_due() {
  std::exponential_distribution<double> gap(options_.rate / 1e9);
  for (uint64_t now = now_ns(); next_ns_ <= now && next_ns_ < end_ns_;) {
    if (next_ns_ >= counted_from_ns_) lateness_.add(now - next_ns_);
    waiting_.push_back(next_ns_);
    unanswered_++;
    next_ns_ += static_cast<uint64_t>(std::llround(gap(random_)));
  }
  send_waiting();
}

void OpenLoop::run(std::vector<std::unique_ptr<Client>>& clients) {
  for (auto& client : clients) client->connect();
  uint64_t connected_by = now_ns() + kConnectNs;
  while (ready_ < clients.size()) {
    poller_.wait(now_ns() + kTurnNs);
    if (now_ns() > connected_by) spoil("not all connections were made in time");
  }
  next_ns_ = now_ns();
  counted_from_ns_ = next_ns_ + static_cast<uint64_t>(options_.warm_seconds * 1e9);
  end_ns_ = counted_from_ns_ + static_cast<uint64_t>(options_.seconds * 1e9);
  for (;;) {
    take_due();
    if (next_ns_ >= end_ns_) break;
    poller_.wait(next_ns_ > options_.spin_ns ? next_ns_ - options_.spin_ns : 0);
  }
  uint64_t last = now_ns() + kLastAnswersNs;
  while (unanswered_ > 0 && now_ns() < last) poller_.wait(now_ns() + kTurnNs);
}

// === a connection for each request ===

ConnectLoop* current_connect_loop = nullptr;

int ConnectLoop::keep_session(SSL* ssl, SSL_SESSION* session) {
  ConnectLoop& loop = *current_connect_loop;
  for (size_t i = 0; i < loop.clients_->size(); i++) {
    if ((*loop.clients_)[i]->ssl() != ssl) continue;
    SSL_SESSION_free(loop.slots_[i].session);
    loop.slots_[i].session = session;
    return 1;
  }
  return 0;
}

ConnectLoop::Slot& ConnectLoop::slot_of(const Client& client) {
  auto found = std::ranges::find_if(*clients_, [&](auto& one) { return one.get() == &client; });
  return slots_[static_cast<size_t>(found - clients_->begin())];
}

void ConnectLoop::connect(Client& client) {
  Slot& slot = slot_of(client);
  slot.offered = resume_ && slot.session;
  client.connect(slot.offered ? slot.session : nullptr);
  SSL_SESSION_free(slot.session);  // A ticket is used once.
  slot.session = nullptr;
}

void ConnectLoop::on_ready(Client& client) {
  bool offered = slot_of(client).offered;
  if (offered != (client.ssl() && SSL_session_reused(client.ssl())))
    spoil(offered ? "a session that was offered was not resumed" : "resumed what was not offered");
  client.send(0);
}

void ConnectLoop::on_ended(Client& client) {
  done_++;
  client.close();
  if (now_ns() < end_ns_) return connect(client);
  running_--;
}

uint64_t ConnectLoop::run(std::vector<std::unique_ptr<Client>>& clients, double seconds) {
  clients_ = &clients;
  current_connect_loop = this;
  slots_.resize(clients.size());
  end_ns_ = now_ns() + static_cast<uint64_t>(seconds * 1e9);
  running_ = clients.size();
  for (auto& client : clients) connect(*client);
  uint64_t last = end_ns_ + kLastAnswersNs;
  while (running_ > 0 && now_ns() < last) poller_.wait(now_ns() + kTurnNs);
  if (running_ > 0) spoil("a connection was not served to its end");
  for (Slot& slot : slots_) SSL_SESSION_free(slot.session);
  return done_;
}

// === connections that do nothing ===

void IdleLoop::run(std::vector<std::unique_ptr<Client>>& clients) {
  uint64_t last = now_ns() + 60'000'000'000;
  for (size_t started = 0; answered_ < clients.size();) {
    while (started < clients.size() && started < answered_ + kConnectingAtOnce) clients[started++]->connect();
    poller_.wait(now_ns() + kTurnNs);
    if (now_ns() > last) spoil("not all connections were served within a minute");
  }
}

}  // namespace openloop
