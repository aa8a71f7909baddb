#include "proxy/net/tcp_dialer.h"

#include "proxy/net/tcp.h"

namespace pillion::net {
namespace {

// One dial. The connect request lives in the handle's block:
// closing the handle cancels it, and its callback then finds no owner. TLS on top of it comes with net/tls.
//
//   created ──► connecting ──► told (on_dialed or on_dial_failed, once)       dropping it in any state closes the
//   socket
class TcpDial final : public Dial, public event::Steppable {
 public:
  TcpDial(event::Loop& loop, const DialOptions& options, DialEvents& events)
      : loop_(loop), events_(events), timer_(event::Timer::bind<&TcpDial::on_timeout>(this)) {
    if (const int error = start(options); error != 0) {
      error_ = -error;
      loop_.executor().ready(*this);  // an event never comes from inside dial()
      return;
    }
    timer_.start_after(loop_.executor().timers, options.connect_timeout);
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
    events_.on_dialed(std::make_unique<TcpTransport>(loop_, std::move(handle_)));
  }
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
  int error_ = 0;
};

}  // namespace

std::unique_ptr<Dial> TcpDialer::dial(const DialOptions& options, DialEvents& events) {
  return std::make_unique<TcpDial>(loop_, options, events);
}

}  // namespace pillion::net
