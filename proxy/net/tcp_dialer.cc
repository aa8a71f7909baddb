#include "proxy/net/tcp_dialer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "proxy/net/tcp.h"
#include "proxy/net/tls.h"

namespace pillion::net {
namespace {

bool set_option(int fd, int level, int option, int value) {
  return setsockopt(fd, level, option, &value, sizeof(value)) == 0;
}

// One dial. One deadline covers the connection and the TLS handshake on top of it.
//
//   created ──► connecting ──► (handshake, if TLS) ──► told (on_dialed or on_dial_failed, once)
//   dropping it in any state closes the socket
class TcpDial final : public Dial, HandshakeEvents, event::Steppable, event::SocketEvents {
 public:
  TcpDial(event::Loop& loop, const DialOptions& options, DialEvents& events)
      : loop_(loop),
        events_(events),
        timer_(event::Timer::bind<&TcpDial::on_timeout>(this)),
        deadline_(loop.now() + options.connect_timeout),
        tls_(options.tls),
        sni_(options.sni),
        verify_host_(options.verify_host),
        alpn_default_(options.alpn_default),
        carries_http1_(options.carries_http1) {
    if (const int error = start(options); error != 0) {
      error_ = error;
      loop_.executor().ready(*this);  // an event never comes from inside dial()
      return;
    }
    timer_.start(loop_.executor().timers, deadline_);
  }

 private:
  // Returns 0 or the error.
  int start(const DialOptions& options) {
    const int fd = ::socket(options.remote.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return errno;
    if (const int error = prepare(fd, options); error != 0) {
      ::close(fd);
      return error;
    }
    socket_ = loop_.poller().add(fd);
    if (socket_ == nullptr) return errno;
    socket_->owner = this;
    return 0;
  }

  static int prepare(int fd, const DialOptions& options) {
    sockaddr_storage storage;
    if (options.remote.is_ip()) set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (options.tcp_keepalive) {
      set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
      set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, kKeepaliveDelaySeconds);
      set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
      set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 10);
    }
    if (!options.bind.is_none()) {
      const socklen_t length = options.bind.to_sockaddr(storage);
      if (!set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1)) return errno;
      if (::bind(fd, reinterpret_cast<sockaddr*>(&storage), length) != 0) return errno;
    }
    const socklen_t length = options.remote.to_sockaddr(storage);
    const int done = ::connect(fd, reinterpret_cast<sockaddr*>(&storage), length);
    return done == 0 || errno == EINPROGRESS ? 0 : errno;
  }

  // Writable is connected; what else the event says belongs to the transport, which will not be told again.
  void on_ready(uint32_t events) override {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    loop_.refresh_now();
    timer_.stop();
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(socket_->fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
    if (error != 0) return fail({Code::connect_failed, Side::upstream, Retry::safe, error, "connecting"});
    auto transport = std::make_unique<TcpTransport>(loop_, std::move(socket_), events);
    if (tls_ == nullptr) {
      events_.on_dialed(std::move(transport));
      return;
    }
    handshake_ = start_client_handshake(loop_.executor(), std::move(transport), std::move(tls_),
                                        {.sni = std::move(sni_),
                                         .verify_host = std::move(verify_host_),
                                         .alpn_default = alpn_default_,
                                         .carries_http1 = carries_http1_,
                                         .timeout = deadline_ - loop_.now()},
                                        *this);
  }
  void on_handshaken(TransportPtr transport) override { events_.on_dialed(std::move(transport)); }
  void on_handshake_failed(const Error& why, std::string_view detail) override { events_.on_dial_failed(why, detail); }
  void on_timeout() { fail({Code::connect_timeout, Side::upstream, Retry::safe, ETIMEDOUT, "connecting"}); }
  void step() override { fail({Code::connect_failed, Side::upstream, Retry::safe, error_, "connecting"}); }
  void fail(const Error& why) {
    timer_.stop();
    socket_.reset();
    events_.on_dial_failed(why);
  }

  static constexpr int kKeepaliveDelaySeconds = 60;
  event::Loop& loop_;
  DialEvents& events_;
  event::SocketPtr socket_;
  event::Timer timer_;
  Instant deadline_;
  std::shared_ptr<const ClientTlsContext> tls_;
  std::string sni_;
  std::string verify_host_;
  AlpnOffer alpn_default_;
  bool carries_http1_;
  std::unique_ptr<Handshake> handshake_;
  int error_ = 0;
};

}  // namespace

std::unique_ptr<Dial> TcpDialer::dial(const DialOptions& options, DialEvents& events) {
  return std::make_unique<TcpDial>(loop_, options, events);
}

}  // namespace pillion::net
