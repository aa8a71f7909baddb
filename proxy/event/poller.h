// The sockets of a loop, watched edge-triggered by one epoll set. The loop waits on this set, and libuv, whose own
// descriptor is a member of it, is only run when it has something to do: a connection's bytes cost one recv or send and
// a share of one epoll_wait, nothing else.
//
//   Socket(poller, fd) ──► on_ready(EPOLLIN …) whenever something new happened ──► ~Socket: closed at once
#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/base/list.h"

namespace pillion::event {

class Poller;

// Who is told. Edge-triggered: an event is told once, so the owner remembers what it did not yet use up.
class SocketEvents {
 public:
  // EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR as the kernel tells them; 0 after again().
  virtual void on_ready(uint32_t events) = 0;

 protected:
  ~SocketEvents() = default;
};

struct AgainTag;

// A descriptor that is not blocking and the place where its events go. Owns the descriptor; dropping the SocketPtr
// closes it at once, and no event comes after that. It may change hands by `owner`.
class Socket : public ListNode<AgainTag> {
 public:
  int fd() const { return fd_; }
  SocketEvents* owner = nullptr;
  void again();  // on_ready(0) in the next turn, which does not wait: for who had more to read than one turn's share

 private:
  friend class Poller;
  Socket(Poller& poller, int fd) : poller_(poller), fd_(fd) {}
  ~Socket() = default;
  Poller& poller_;
  int fd_;

  friend struct SocketCloser;
};
struct SocketCloser {
  void operator()(Socket* socket) const noexcept;
};
using SocketPtr = std::unique_ptr<Socket, SocketCloser>;

class Poller {
 public:
  static constexpr int kEventsPerTurn = 64;  // what they touch still lies in the cache when their answers are written

  Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  ~Poller();  // all sockets must be gone

  // Takes the descriptor over, also when this fails (null; errno says why). Nobody is told until there is an owner.
  [[nodiscard]] SocketPtr add(int fd);
  // A descriptor of somebody else, level-triggered; wait() says when it is readable.
  void watch_guest(int fd);

  // Waits at most `timeout_ms` (-1: for ever) and keeps what happened for dispatch(), which must follow. Returns
  // whether the guest is readable.
  bool wait(int timeout_ms);
  void dispatch();
  bool has_work() const { return !again_.empty(); }

 private:
  friend class Socket;
  friend struct SocketCloser;
  void close(Socket* socket) noexcept;

  int epoll_fd_;
  int count_ = 0;
  bool has_batch_ = false;  // from wait() to the end of dispatch()
  std::array<epoll_event, kEventsPerTurn> batch_;
  mutable List<Socket, AgainTag> again_;
  std::vector<Socket*> closed_;  // events of the batch under way may still name them
};

}  // namespace pillion::event
