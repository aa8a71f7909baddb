#include "proxy/event/poller.h"

#include <unistd.h>

#include <cerrno>

#include "proxy/base/check.h"

namespace pillion::event {

void Socket::again() {
  if (!is_linked()) poller_.again_.push_back(*this);
}

void SocketCloser::operator()(Socket* socket) const noexcept {
  socket->poller_.close(socket);
}

Poller::Poller() : epoll_fd_(epoll_create1(EPOLL_CLOEXEC)) {
  PILLION_CHECK(epoll_fd_ >= 0);
}

Poller::~Poller() {
  PILLION_CHECK(!has_batch_ && closed_.empty());
  ::close(epoll_fd_);
}

SocketPtr Poller::add(int fd) {
  SocketPtr socket(new Socket(*this, fd));
  epoll_event event{.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = socket.get()}};
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    const int error = errno;
    socket.reset();
    errno = error;
  }
  return socket;
}

void Poller::watch_guest(int fd) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
  PILLION_CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0);
}

bool Poller::wait(int timeout_ms) {
  has_batch_ = true;
  count_ = epoll_wait(epoll_fd_, batch_.data(), kEventsPerTurn, timeout_ms);
  if (count_ < 0) {
    PILLION_CHECK(errno == EINTR);
    count_ = 0;
  }
  for (int i = 0; i < count_; ++i) {
    if (batch_[i].data.ptr == nullptr) return true;
  }
  return false;
}

void Poller::dispatch() {
  List<Socket, AgainTag> again;
  again.splice(again_);  // who asks again from now on is for the next turn
  for (int i = 0; i < count_; ++i) {
    auto* socket = static_cast<Socket*>(batch_[i].data.ptr);
    if (socket != nullptr && socket->owner != nullptr) socket->owner->on_ready(batch_[i].events);
  }
  while (Socket* socket = again.pop_front()) {
    if (socket->owner != nullptr) socket->owner->on_ready(0);
  }
  has_batch_ = false;
  for (Socket* socket : closed_) delete socket;
  closed_.clear();
}

// Closing takes the descriptor out of the set, since no process that we start keeps a copy (CLOEXEC), but the batch may
// hold an event of it.
void Poller::close(Socket* socket) noexcept {
  socket->owner = nullptr;
  socket->unlink();
  ::close(socket->fd_);
  if (has_batch_) {
    closed_.push_back(socket);
  } else {
    delete socket;
  }
}

}  // namespace pillion::event
