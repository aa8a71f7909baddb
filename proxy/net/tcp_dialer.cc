#include "proxy/net/tcp_dialer.h"

#include "proxy/net/tcp.h"
#include "proxy/net/tls.h"

namespace pillion::net {
namespace {

// One dial. The connect request lives in the handle's block: closing the handle cancels it, and its callback then finds
// no owner. One deadline covers the connection and the TLS handshake on top of it.
//
//   created ──► connecting ──► (handshake, if TLS) ──► told (on_dialed or on_dial_failed, once)
//   dropping it in any state closes the socket
class TcpDial final : public Dial, HandshakeEvents, event::Steppable {
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
      error_ = -error;
      loop_.executor().ready(*this);  // an event never comes from inside dial()
      return;
    }
    timer_.start(loop_.executor().timers, deadline_);
  }

 private:
  int start(const DialOptions& options) {
    handle_ = event::make_handle<uv_tcp_t, TcpWrites>(this);
    if (const int error = uv_tcp_init(loop_.uv(), &handle_->uv); error != 0) return error;
    handle_->initialised = true;
    sockaddr_storage storage;
    if (!options.bind.is_none()) {
      options.bind.to_sockaddr(storage);
      if (const int error = uv_tcp_bind(&handle_->uv, reinterpret_cast<sockaddr*>(&storage), 0); error != 0)
        return error;
    }
    if (options.tcp_keepalive) uv_tcp_keepalive(&handle_->uv, 1, kKeepaliveDelaySeconds);
    options.remote.to_sockaddr(storage);
    return uv_tcp_connect(&handle_->extra.connect, &handle_->uv, reinterpret_cast<sockaddr*>(&storage),
                          [](uv_connect_t* request, int status) {
                            if (void* owner = TcpHandle::of(request->handle)->owner) {
                              static_cast<TcpDial*>(owner)->on_connected(status);
                            }
                          });
  }

  void on_connected(int status) {
    loop_.refresh_now();
    timer_.stop();
    if (status != 0) {
      fail({Code::connect_failed, Side::upstream, Retry::safe, -status, "connecting"});
      return;
    }
    auto transport = std::make_unique<TcpTransport>(loop_, std::move(handle_));
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
    handle_.reset();
    events_.on_dial_failed(why);
  }

  static constexpr unsigned kKeepaliveDelaySeconds = 60;
  event::Loop& loop_;
  DialEvents& events_;
  TcpHandlePtr handle_;
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
