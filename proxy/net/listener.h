// A listening socket. It accepts and hands out bare sockets, so that the main loop can give each to the worker with the
// fewest connections. Runs out of descriptors without spinning: a reserve is closed to accept and drop one connection,
// then accepting pauses.
#pragma once

#include <uv.h>

#include <memory>

#include "proxy/event/handle.h"
#include "proxy/event/loop.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class AcceptEvents {
 public:
  // The socket is not blocking and close-on-exec; the receiver owns it.
  virtual void on_accept(int fd) = 0;
  // Asked after each: the rest waits in the backlog for kPauseWhenBusy.
  virtual bool is_busy() const { return false; }
  virtual void on_no_descriptors() {}  // a client was turned away for want of one

 protected:
  ~AcceptEvents() = default;
};

struct ListenOptions {
  Address address;       // port 0: the kernel chooses
  uint32_t backlog = 0;  // 0 = the system's maximum
  bool reuse_port = false;
  bool transparent = false;  // IP_TRANSPARENT, for TPROXY; needs CAP_NET_ADMIN
};

class Listener {
 public:
  static constexpr int kAcceptsPerTurn = 64;  // then others on the loop have their turn
  static constexpr int kAcceptsBeforeClose = 65'536;
  static constexpr Duration kPauseWithoutFds{100'000};
  static constexpr Duration kPauseWhenBusy{1'000};

  // Errors: os says why (EADDRINUSE, EACCES, …), what says in which step.
  static Expected<std::unique_ptr<Listener>> open(event::Loop& loop, const ListenOptions& options,
                                                  AcceptEvents& events);
  ~Listener();

  const Address& local_address() const { return local_; }
  void pause();  // the backlog fills; nothing is refused until it is full
  void resume();
  void accept_waiting();  // hands out all that is in the backlog: before it is closed

 private:
  Listener(event::Loop& loop, int fd, AcceptEvents& events);
  void on_readable();
  bool accept_one();  // false: nothing waits, or nothing can be taken
  void on_pause_over() { resume(); }
  void drop_one();

  event::Loop& loop_;
  int fd_;
  int reserve_fd_;
  AcceptEvents& events_;
  event::HandlePtr<uv_poll_t> poll_;
  event::Timer pause_timer_;
  Address local_;
};

}  // namespace pillion::net
