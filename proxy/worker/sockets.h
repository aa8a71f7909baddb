// The listening sockets of the process, on the main loop. A socket belongs to an address and outlives changes of the
// listener behind it. Those that are bound before there is a configuration hold what they accept until it comes.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/snapshot.h"
#include "proxy/event/timer_queue.h"
#include "proxy/net/listener.h"
#include "proxy/worker/options.h"

namespace pillion::worker {

// Who takes the accepted sockets.
class SocketEvents {
 public:
  virtual void on_accepted(int fd, const std::shared_ptr<const config::Listener>& listener) = 0;
  virtual bool is_busy() const = 0;  // enough was accepted for the moment
  // Turned away: by a listener that has no descriptors left, or (null) by the bound on what waits for a configuration.
  virtual void on_turned_away(const config::Listener* listener) = 0;

 protected:
  ~SocketEvents() = default;
};

class Sockets {
 public:
  static constexpr Duration kHeldLook{250'000};

  Sockets(event::Loop& loop, const ServerOptions& options, SocketEvents& events);
  ~Sockets();

  void publish(const config::Table<config::Listener>& listeners);
  // Closes those of inbound listeners, or all. What waits in their backlogs is still accepted; none is opened again.
  void drain(bool inbound_only);
  std::vector<ListenerStatus> status(const config::Table<config::Listener>& listeners) const;

 private:
  struct Held {
    int fd;
    Instant since;
  };
  struct Socket final : net::AcceptEvents {
    explicit Socket(Sockets& s) : sockets(s) {}
    void on_accept(int fd) override { sockets.on_accept(*this, fd); }
    bool is_busy() const override { return sockets.events_.is_busy(); }
    void on_no_descriptors() override { sockets.events_.on_turned_away(target.get()); }
    Sockets& sockets;
    std::unique_ptr<net::Listener> listener;         // null: could not be bound
    std::shared_ptr<const config::Listener> target;  // null: connections are held
    std::string error;
    bool used = false;  // by the snapshot that is being published
  };

  static std::string key_of(const config::Listener& listener, size_t address);
  Socket& open(const std::string& key, const Address& address, const config::Listener* listener);
  void on_accept(Socket& socket, int fd);
  void hand_over(Socket& socket);
  void drop_held(Socket& socket);
  void on_held_look();
  bool is_drained(const config::Listener& listener) const;

  event::Loop& loop_;
  const ServerOptions options_;
  SocketEvents& events_;
  std::map<std::string, std::unique_ptr<Socket>> sockets_;
  std::map<Socket*, std::deque<Held>> held_;
  size_t held_count_ = 0;
  event::Timer held_timer_{event::Timer::bind<&Sockets::on_held_look>(this)};
  enum class Drained : uint8_t { none, inbound, all } drained_ = Drained::none;
};

}  // namespace pillion::worker
