#include "proxy/worker/sockets.h"

#include <unistd.h>

#include <cstring>
#include <utility>

#include "proxy/base/log.h"

namespace pillion::worker {

Sockets::Sockets(event::Loop& loop, const ServerOptions& options, SocketEvents& events)
    : loop_(loop), options_(options), events_(events) {
  for (const Address& address : options_.bind_at_start) open(address.to_string(), address, nullptr);
}

Sockets::~Sockets() {
  for (auto& [socket, held] : held_) {
    for (const Held& one : held) ::close(one.fd);
  }
}

// Listeners on port 0 have a socket each; else the address says which socket it is.
std::string Sockets::key_of(const config::Listener& listener, size_t i) {
  const Address& address = listener.addresses[i];
  if (address.is_ip() && address.port() == 0) return listener.name + "#" + std::to_string(i);
  return address.to_string();
}

Sockets::Socket& Sockets::open(const std::string& key, const Address& address, const config::Listener* listener) {
  std::unique_ptr<Socket>& slot = sockets_[key];
  if (slot == nullptr) slot = std::make_unique<Socket>(*this);
  if (slot->listener != nullptr) return *slot;
  // Without SO_REUSEPORT, whatever enable_reuse_port says: one socket serves all workers here, and with it a second
  // proxy on the same port would go unnoticed.
  net::ListenOptions options{.address = address};
  if (listener != nullptr) {
    options.backlog = listener->backlog;
    options.transparent = listener->transparent;
  }
  auto opened = net::Listener::open(loop_, options, *slot);
  if (opened) {
    slot->listener = std::move(*opened);
    slot->error.clear();
  } else {
    const char* why = strerrorname_np(opened.error().os);
    slot->error = fmt::format("{} {}: {}", opened.error().what, address.to_string(), why == nullptr ? "?" : why);
    PILLION_LOG(error, "listener {}: {}", listener == nullptr ? "(capture)" : listener->name, slot->error);
  }
  return *slot;
}

// === configuration ===

void Sockets::publish(const config::Table<config::Listener>& listeners) {
  for (auto& [key, socket] : sockets_) socket->used = false;
  for (const auto& [name, listener] : listeners) {
    if (!listener->bind_to_port || is_drained(*listener)) continue;
    for (size_t i = 0; i < listener->addresses.size(); ++i) {
      Socket& socket = open(key_of(*listener, i), listener->addresses[i], listener.get());
      socket.used = true;
      socket.target = listener;
    }
  }
  // Capture ports wait for the first configuration that has listeners.
  if (listeners.empty()) return;
  std::erase_if(sockets_, [this](const auto& entry) {
    Socket& socket = *entry.second;
    if (socket.used) return false;
    drop_held(socket);
    if (socket.listener != nullptr && socket.target != nullptr) socket.listener->accept_waiting();
    return true;
  });
  for (auto& [key, socket] : sockets_) hand_over(*socket);
}

std::vector<ListenerStatus> Sockets::status(const config::Table<config::Listener>& listeners) const {
  std::vector<ListenerStatus> out;
  for (const auto& [name, listener] : listeners) {
    ListenerStatus& status = out.emplace_back();
    status.name = name;
    for (size_t i = 0; i < listener->addresses.size(); ++i) {
      const auto found = sockets_.find(key_of(*listener, i));
      const bool bound = found != sockets_.end() && found->second->listener != nullptr && listener->bind_to_port;
      status.addresses.push_back(bound ? found->second->listener->local_address() : listener->addresses[i]);
      if (found != sockets_.end() && listener->bind_to_port && status.error.empty()) {
        status.error = found->second->error;
      }
    }
  }
  return out;
}

// === accepting ===

void Sockets::on_accept(Socket& socket, int fd) {
  if (socket.target != nullptr) {
    events_.on_accepted(fd, socket.target);
    return;
  }
  if (held_count_ >= options_.held_connections_max) {
    PILLION_LOG_LIMITED(warning, loop_.now(), "{} connections wait for the first configuration: one more is refused",
                        held_count_);
    ::close(fd);
    events_.on_turned_away(nullptr);
    return;
  }
  held_[&socket].push_back({fd, loop_.now()});
  ++held_count_;
  if (!held_timer_.is_armed()) held_timer_.start_after(loop_.executor().timers, kHeldLook);
}

void Sockets::hand_over(Socket& socket) {
  const auto found = held_.find(&socket);
  if (found == held_.end() || socket.target == nullptr) return;
  std::deque<Held> held = std::move(found->second);
  held_.erase(found);
  held_count_ -= held.size();
  for (const Held& one : held) events_.on_accepted(one.fd, socket.target);
}

// The configuration has no listener for them. The socket ends, and its address must not stand for another one's.
void Sockets::drop_held(Socket& socket) {
  const auto found = held_.find(&socket);
  if (found == held_.end()) return;
  for (const Held& one : found->second) ::close(one.fd);
  held_count_ -= found->second.size();
  held_.erase(found);
}

void Sockets::on_held_look() {
  for (auto& [socket, held] : held_) {
    while (!held.empty() && loop_.now() - held.front().since > options_.held_time_max) {
      ::close(held.front().fd);
      held.pop_front();
      --held_count_;
    }
  }
  if (held_count_ > 0) held_timer_.start_after(loop_.executor().timers, kHeldLook);
}

// === the end ===

bool Sockets::is_drained(const config::Listener& listener) const {
  if (drained_ == Drained::inbound) return listener.direction != config::Listener::Direction::outbound;
  return drained_ == Drained::all;
}

void Sockets::drain(bool inbound_only) {
  if (drained_ != Drained::all) drained_ = inbound_only ? Drained::inbound : Drained::all;
  std::erase_if(sockets_, [this](const auto& entry) {
    Socket& socket = *entry.second;
    if (socket.target == nullptr ? drained_ != Drained::all : !is_drained(*socket.target)) return false;
    drop_held(socket);
    if (socket.listener != nullptr && socket.target != nullptr) socket.listener->accept_waiting();
    return true;
  });
}

}  // namespace pillion::worker
