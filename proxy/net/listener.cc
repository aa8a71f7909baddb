#include "proxy/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/base/log.h"

namespace pillion::net {
namespace {

std::unexpected<Error> failed(const char* what) {
  return std::unexpected(Error{Code::resource_limit, Side::local, Retry::never, errno, what});
}

// Closes the socket unless it was handed on.
struct Socket {
  explicit Socket(int fd) : fd(fd) {}
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() {
    if (fd >= 0) ::close(fd);
  }
  int release() { return std::exchange(fd, -1); }
  int fd;
};

bool turn_on(int fd, int level, int option) {
  const int on = 1;
  return setsockopt(fd, level, option, &on, sizeof(on)) == 0;
}

int open_reserve() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace

Expected<std::unique_ptr<Listener>> Listener::open(event::Loop& loop, const ListenOptions& options,
                                                   AcceptEvents& events) {
  const Address& address = options.address;
  Socket socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (socket.fd < 0) return failed("socket");
  if (address.is_ip()) {
    if (!turn_on(socket.fd, SOL_SOCKET, SO_REUSEADDR)) return failed("SO_REUSEADDR");
    if (options.reuse_port && !turn_on(socket.fd, SOL_SOCKET, SO_REUSEPORT)) return failed("SO_REUSEPORT");
    turn_on(socket.fd, IPPROTO_TCP, TCP_NODELAY);  // accepted sockets inherit it
    const bool v6 = address.family() == AF_INET6;
    if (v6 && !turn_on(socket.fd, IPPROTO_IPV6, IPV6_V6ONLY)) return failed("IPV6_V6ONLY");
    if (options.transparent &&
        !turn_on(socket.fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT)) {
      return failed("IP_TRANSPARENT");
    }
  }
  sockaddr_storage storage;
  const socklen_t length = address.to_sockaddr(storage);
  if (bind(socket.fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) return failed("bind");
  if (listen(socket.fd, options.backlog == 0 ? SOMAXCONN : static_cast<int>(options.backlog)) != 0)
    return failed("listen");
  return std::unique_ptr<Listener>(new Listener(loop, socket.release(), events));
}

Listener::Listener(event::Loop& loop, int fd, AcceptEvents& events)
    : loop_(loop),
      fd_(fd),
      reserve_fd_(open_reserve()),
      events_(events),
      poll_(event::make_handle<uv_poll_t>(this)),
      pause_timer_(event::Timer::bind<&Listener::on_pause_over>(this)) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
  local_ = Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)).value_or(Address());
  PILLION_CHECK(uv_poll_init(loop.uv(), &poll_->uv, fd_) == 0);
  poll_->initialised = true;
  resume();
}

Listener::~Listener() {
  poll_.reset();  // before the descriptor: libuv must not watch a number that somebody else may get
  ::close(fd_);
  if (reserve_fd_ >= 0) ::close(reserve_fd_);
}

void Listener::pause() {
  uv_poll_stop(&poll_->uv);
}

void Listener::resume() {
  uv_poll_start(&poll_->uv, UV_READABLE, [](uv_poll_t* poll, int, int) {
    if (void* owner = event::Handle<uv_poll_t>::of(poll)->owner) static_cast<Listener*>(owner)->on_readable();
  });
}

void Listener::on_readable() {
  loop_.refresh_now();
  for (int i = 0; i < kAcceptsPerTurn && accept_one(); ++i) {
    if (!events_.is_busy()) continue;
    pause();
    pause_timer_.start_after(loop_.executor().timers, kPauseWhenBusy);
    return;
  }
}

void Listener::accept_waiting() {
  for (int i = 0; i < kAcceptsBeforeClose && accept_one(); ++i) {
  }
}

bool Listener::accept_one() {
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    events_.on_accept(fd);
    return true;
  }
  if (errno == EAGAIN) return false;
  if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
    PILLION_LOG_LIMITED(error, loop_.now(), "listener {}: no descriptors left: {}", local_.to_string(),
                        strerrorname_np(errno));
    drop_one();
    events_.on_no_descriptors();
    pause();
    pause_timer_.start_after(loop_.executor().timers, kPauseWithoutFds);
    return false;
  }
  return true;  // ECONNABORTED and the like: that connection is gone, the next may be fine.
}

// The client at the head of the queue learns at once that there is no room, instead of waiting for its timeout.
void Listener::drop_one() {
  if (reserve_fd_ < 0) return;
  ::close(reserve_fd_);
  const int fd = accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) ::close(fd);
  reserve_fd_ = open_reserve();
}

}  // namespace pillion::net
