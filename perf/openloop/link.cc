#include "perf/openloop/link.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

namespace openloop {

namespace {

constexpr size_t kReadBytes = 256 * 1024;
char read_buffer[kReadBytes];

std::string tls_error() {
  char text[200];
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  return std::string("TLS: ") + text;
}

}  // namespace

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

void Poller::wait(uint64_t deadline_ns) {
  uint64_t now = now_ns();
  uint64_t left = deadline_ns > now ? deadline_ns - now : 0;
  timespec timeout = {static_cast<time_t>(left / 1'000'000'000), static_cast<long>(left % 1'000'000'000)};
  epoll_event events[256];
  int count = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
  for (int i = 0; i < count; i++) static_cast<Link*>(events[i].data.ptr)->on_ready(events[i].events);
}

void Poller::watch(int fd, uint32_t events, Link* link, bool is_new) {
  epoll_event event = {events, {link}};
  epoll_ctl(epoll_, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
}

void Link::connect(const sockaddr_in& to, SSL_CTX* context, SSL_SESSION* session) {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (context) {
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd_);
    SSL_set_connect_state(ssl_);
    SSL_set_mode(ssl_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    if (session) SSL_set_session(ssl_, session);
  }
  state_ = State::connecting;
  int done = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (done < 0 && errno != EINPROGRESS) return fail(std::string("connect: ") + strerror(errno));
  wants_write_ = true;
  poller_.watch(fd_, EPOLLIN | EPOLLOUT, this, true);
}

void Link::adopt(int fd) {
  fd_ = fd;
  int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  state_ = State::open;
  wants_write_ = false;
  poller_.watch(fd_, EPOLLIN, this, true);
}

void Link::close() {
  if (state_ == State::closed) return;
  state_ = State::closed;
  if (ssl_) {
    SSL_shutdown(ssl_);  // Says close_notify, so that the session stays one to resume.
    SSL_free(ssl_);
    ssl_ = nullptr;
    ERR_clear_error();
  }
  ::close(fd_);
  fd_ = -1;
  output_.clear();
}

void Link::fail(const std::string& why) {
  close();
  events_.on_closed(why);
}

void Link::on_ready(uint32_t events) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return fail(std::string("connect: ") + strerror(error));
    if (!(events & EPOLLOUT)) return;
    if (ssl_) {
      state_ = State::handshake;
    } else {
      opened();
      return;
    }
  }
  if (state_ == State::handshake) {
    handshake();
    return;
  }
  if (state_ == State::open && (events & EPOLLOUT)) flush();
  if (state_ == State::open && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read();
}

void Link::handshake() {
  int done = SSL_do_handshake(ssl_);
  if (done == 1) return opened();
  int error = SSL_get_error(ssl_, done);
  if (error == SSL_ERROR_WANT_READ) return want_write(false);
  if (error == SSL_ERROR_WANT_WRITE) return want_write(true);
  fail(error == SSL_ERROR_SYSCALL ? std::string("handshake: ") + strerror(errno) : tls_error());
}

void Link::opened() {
  state_ = State::open;
  want_write(false);
  events_.on_open();
}

void Link::read() {
  while (state_ == State::open) {
    ssize_t got;
    if (ssl_) {
      int count = SSL_read(ssl_, read_buffer, sizeof read_buffer);
      int error = count > 0 ? SSL_ERROR_NONE : SSL_get_error(ssl_, count);
      if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
      if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL) return fail("read: " + tls_error());
      got = count > 0 ? count : 0;
    } else {
      got = recv(fd_, read_buffer, sizeof read_buffer, 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got < 0) return fail(std::string("read: ") + strerror(errno));
    }
    if (got == 0) return fail("");
    events_.on_bytes({read_buffer, static_cast<size_t>(got)});
    if (!ssl_ && static_cast<size_t>(got) < sizeof read_buffer) return;
  }
}

void Link::write(std::string_view bytes) {
  output_ += bytes;
  if (state_ == State::open && !wants_write_) flush();
}

void Link::flush() {
  size_t sent = 0;
  while (sent < output_.size()) {
    const char* from = output_.data() + sent;
    size_t size = output_.size() - sent;
    ssize_t count = ssl_ ? SSL_write(ssl_, from, static_cast<int>(size)) : send(fd_, from, size, MSG_NOSIGNAL);
    if (count <= 0) {
      bool waits = ssl_ ? SSL_get_error(ssl_, static_cast<int>(count)) == SSL_ERROR_WANT_WRITE : errno == EAGAIN;
      if (!waits) return;  // The reading side finds out why, and tells.
      break;
    }
    sent += static_cast<size_t>(count);
  }
  output_.erase(0, sent);
  want_write(!output_.empty());
}

void Link::want_write(bool wanted) {
  if (wanted == wants_write_) return;
  wants_write_ = wanted;
  poller_.watch(fd_, EPOLLIN | (wanted ? EPOLLOUT : 0u), this, false);
}

}  // namespace openloop
