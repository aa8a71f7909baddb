// Handshakes. What arrives is only kept; the work is done when the executor runs this, some per turn, so that a storm
// of new connections does not stop the established ones.
//
//   working ⇄ waiting for its turn ──► told (handshaken or failed, once)        dropping it in any state closes `lower`
#include <fmt/format.h>

#include <cerrno>
#include <optional>
#include <utility>

#include "proxy/net/tls.h"
#include "proxy/net/tls_engine.h"
#include "proxy/net/tls_transport.h"

namespace pillion::net {
namespace {

constexpr uint32_t kHandshakesPerTurn = 8;        // 0.1 to 0.3 ms each
constexpr size_t kHandshakeBytesMax = 64 * 1024;  // unread by us; then the peer has to wait

class HandshakeWork final : public event::Retirable, TransportEvents, event::Steppable {
 public:
  HandshakeWork(event::Executor& executor, TransportPtr lower, std::unique_ptr<TlsEngine> engine, bool is_server,
                Duration timeout, HandshakeEvents& events)
      : executor_(executor),
        lower_(std::move(lower)),
        engine_(std::move(engine)),
        events_(&events),
        is_server_(is_server),
        timeout_(timeout),
        timer_(event::Timer::bind<&HandshakeWork::on_timeout>(this)),
        turn_timer_(event::Timer::bind<&HandshakeWork::on_turn>(this)) {
    engine_->cipher_in.append(lower_->take_unread());
    lower_->set_events(this);
    timer_.start_after(executor_.timers, timeout);
    executor_.ready(*this);
  }

  void cancel() {
    events_ = nullptr;
    timer_.stop();
    turn_timer_.stop();
    event::Steppable::unlink();
    if (lower_ != nullptr) lower_->close();
  }

  event::Executor& executor() { return executor_; }

 private:
  void on_bytes(Chain& in) override {
    engine_->cipher_in.append(std::move(in));
    if (!is_paused_ && engine_->cipher_in.size() > kHandshakeBytesMax) {
      is_paused_ = true;
      lower_->pause_reading();
    }
    if (!turn_timer_.is_armed()) executor_.ready(*this);
  }
  void on_eof() override {
    is_eof_ = true;
    executor_.ready(*this);
  }
  void on_writable() override {}
  void on_closed(const Error& why) override {
    broken_ = why;
    is_eof_ = true;
    executor_.ready(*this);
  }
  void on_timeout() {
    fail(Code::connect_timeout, ETIMEDOUT, fmt::format("the TLS handshake did not end within {} ms", to_ms(timeout_)));
  }
  void on_turn() { executor_.ready(*this); }

  void step() override {
    if (events_ == nullptr) return;
    if (!executor_.may_work_long(kHandshakesPerTurn)) {
      turn_timer_.start(executor_.timers, executor_.now() - 1ms);  // overdue: the loop must not wait for it
      return;
    }
    const TlsEngine::Result result = engine_->handshake();
    if (!engine_->cipher_out.empty()) lower_->write(std::move(engine_->cipher_out));
    if (result == TlsEngine::Result::ok) {
      succeed();
    } else if (result != TlsEngine::Result::want_read) {
      fail(Code::tls_failed, 0, engine_->failure());
    } else if (is_eof_) {
      fail(Code::tls_failed, broken_ ? broken_->os : 0, "the peer closed the connection during the TLS handshake");
    } else if (is_paused_) {
      is_paused_ = false;
      lower_->resume_reading();
    }
  }

  void succeed() {
    timer_.stop();
    lower_->set_events(nullptr);
    if (is_paused_) lower_->resume_reading();
    HandshakeEvents* events = std::exchange(events_, nullptr);
    events->on_handshaken(
        std::make_unique<TlsTransport>(executor_, std::move(lower_), std::move(engine_), is_eof_, broken_));
  }

  void fail(Code code, int os, std::string_view detail) {
    HandshakeEvents* events = events_;
    cancel();
    const Error why{code, is_server_ ? Side::downstream : Side::upstream, is_server_ ? Retry::never : Retry::safe, os,
                    "TLS handshake"};
    if (events != nullptr) events->on_handshake_failed(why, detail);
  }

  event::Executor& executor_;
  TransportPtr lower_;
  std::unique_ptr<TlsEngine> engine_;
  HandshakeEvents* events_;  // null once told or cancelled
  bool is_server_;
  bool is_eof_ = false;
  bool is_paused_ = false;
  std::optional<Error> broken_;  // the transport below, perhaps behind the last bytes that the handshake needs
  Duration timeout_;
  event::Timer timer_;
  event::Timer turn_timer_;
};

// What the owner holds. The work may be on the stack when this is dropped, so its memory goes with the end of the turn.
class HandshakeTicket final : public Handshake {
 public:
  explicit HandshakeTicket(std::unique_ptr<HandshakeWork> work) : work_(std::move(work)) {}
  ~HandshakeTicket() override {
    work_->cancel();
    event::Executor& executor = work_->executor();
    executor.retire(std::move(work_));
  }

 private:
  std::unique_ptr<HandshakeWork> work_;
};

}  // namespace

std::unique_ptr<Handshake> start_server_handshake(event::Executor& executor, TransportPtr transport,
                                                  std::shared_ptr<const ServerTlsContext> context, Duration timeout,
                                                  HandshakeEvents& events) {
  auto engine = std::make_unique<TlsEngine>(executor.chunks, std::move(context));
  return std::make_unique<HandshakeTicket>(
      std::make_unique<HandshakeWork>(executor, std::move(transport), std::move(engine), true, timeout, events));
}

std::unique_ptr<Handshake> start_client_handshake(event::Executor& executor, TransportPtr transport,
                                                  std::shared_ptr<const ClientTlsContext> context,
                                                  const ClientHandshakeOptions& options, HandshakeEvents& events) {
  const std::string& sni = options.sni.empty() ? context->sni() : options.sni;
  auto engine = std::make_unique<TlsEngine>(executor.chunks, context, sni, options.verify_host,
                                            transport->peer_address().to_string());
  engine->offer_alpn(context->alpn_for(options));
  return std::make_unique<HandshakeTicket>(std::make_unique<HandshakeWork>(
      executor, std::move(transport), std::move(engine), false, options.timeout, events));
}

}  // namespace pillion::net
