// One client connection that speaks HTTP: a transport, a codec, and the edge where what exchanges and codec say becomes
// writes, pauses and closes.
//
//   open ──► draining (told to go elsewhere) ──► lingering (all said, waits for the peer's FIN) ──► gone
#include <algorithm>

#include "proxy/base/log.h"
#include "proxy/downstream/exchange.h"
#include "proxy/downstream/session.h"

namespace pillion::downstream {
namespace {

constexpr size_t kProduceBudgetBytes = 256 * 1024;  // per flush: the unit in which bulk leaves
constexpr size_t kEarlyBytesMax = 64 * 1024;        // pipelined behind an unfinished request, before reading stops
constexpr Duration kMinute{60'000'000};
// HTTP/1 in a drain: who sends a request within this time is told by its answer. A close at once would meet the
// requests that are on their way.
constexpr Duration kIdleDrainTime{1'000'000};

class HttpConnection final : public Session,
                             public event::Flushable,
                             private net::TransportEvents,
                             private http::ServerCodecEvents,
                             private ExchangeOwner {
 public:
  HttpConnection(Services& services, ConnectionInfo info, net::TransportPtr transport,
                 const config::HttpConnectionManager& manager, bool http2);
  ~HttpConnection() override = default;

  void drain() override { begin_drain(); }
  void close() override;
  void flush() override;

 private:
  // TransportEvents
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override { executor().dirty(*this); }
  void on_closed(const Error& why) override;
  // ServerCodecEvents
  http::ServerStreamEvents& on_stream_begin(http::ServerStream& stream) override;
  // ExchangeOwner
  void retire(Exchange& exchange) override;
  void touch() override;
  void pause_reading() override;
  void resume_reading() override;
  void end_after_answer() override;

  void feed(Chain& in);
  void feed_early();
  void handle_eof();
  void after_event();
  void settle_end();
  void linger();
  void begin_drain();
  void finish_drain();
  void finish(const Error& why);
  void leave_host();
  void watch_idleness();
  void count_open();
  void count_close(const Error& why);
  void count_failure(const Error& why);
  void on_idle_timeout();
  void on_max_duration();
  void on_drain_step();
  void on_linger_timeout();
  void on_minute();

  bool is_http2() const { return codec_->version() == http::Version::http2; }
  event::Executor& executor() const { return services_.executor; }
  StatSlab& stats() const { return services_.executor.stats; }

  enum class State : uint8_t { open, lingering, gone };

  // What most connections of HTTP/1 never start.
  struct RareTimers {
    explicit RareTimers(HttpConnection* owner)
        : age(event::Timer::bind<&HttpConnection::on_max_duration>(owner)),
          end(event::Timer::bind<&HttpConnection::on_drain_step>(owner)),
          minute(event::Timer::bind<&HttpConnection::on_minute>(owner)) {}
    event::Timer age;
    event::Timer end;  // of the drain, then of the lingering
    event::Timer minute;
  };
  RareTimers& rare_timers() {
    if (rare_timers_ == nullptr) rare_timers_ = std::make_unique<RareTimers>(this);
    return *rare_timers_;
  }

  Services& services_;
  const config::HttpConnectionManager& manager_;
  net::TransportPtr transport_;
  const HttpStats& ids_;
  const filter::ChainPlan filters_;
  ExchangeContext context_;
  std::unique_ptr<http::ServerCodec> codec_;
  OwningList<Exchange> exchanges_;
  Chain early_;  // input that the codec does not want yet
  event::Timer idle_timer_;
  std::unique_ptr<RareTimers> rare_timers_;  // made when the first of them is started
  uint32_t requests_ = 0;
  State state_ = State::open;
  const bool http2_;
  bool only_output_left_ = false;  // what idle_timer_ waits for: the client to take it
  bool draining_ = false;
  bool drained_ = false;  // the last word of the drain was said
  bool early_paused_ = false;
  bool half_closed_ = false;
  bool had_tunnel_ = false;
  bool failure_counted_ = false;
  bool peer_ended_ = false;
  bool eof_seen_ = false;  // … by the codec
  bool removed_ = false;
};

// `tls` is null for plain text.
http::CodecLimits limits_of(const config::HttpConnectionManager& manager, const net::TlsInfo* tls) {
  http::CodecLimits limits;
  limits.head_bytes_max = manager.request_head_bytes_max;
  limits.headers_max = manager.request_headers_max;
  limits.concurrent_streams_max = manager.h2_concurrent_streams_max;
  limits.stream_window_bytes = manager.h2_stream_window_bytes;
  limits.connection_window_bytes = manager.h2_connection_window_bytes;
  limits.outbound_frames_max = manager.h2_limits.outbound_frames_max;
  limits.outbound_control_frames_max = manager.h2_limits.outbound_control_frames_max;
  limits.empty_frames_max = manager.h2_limits.empty_frames_max;
  limits.priority_frames_per_stream_max = manager.h2_limits.priority_frames_per_stream_max;
  limits.window_updates_per_data_frame_max = manager.h2_limits.window_updates_per_data_frame_max;
  limits.accept_http10 = manager.accept_http10;
  limits.carries_http1 = tls != nullptr && tls->alpn == config::kCarryAlpn;
  limits.extended_connect = manager.h2_allow_connect || limits.carries_http1;
  // The peer speaks for many clients, who may all leave in one minute.
  if (limits.carries_http1) {
    limits.resets_per_minute_max = std::max(limits.resets_per_minute_max, 4 * limits.concurrent_streams_max);
  }
  return limits;
}

Peer peer_of(const ConnectionInfo& info, const net::Transport& transport,
             const config::HttpConnectionManager& manager) {
  Peer peer{.address = info.remote};
  if (info.remote.is_ip()) peer.ip = info.remote.ip();
  const net::TlsInfo* tls = transport.tls();
  peer.is_tls = tls != nullptr;
  peer.has_certificate = tls != nullptr && !tls->peer_certificate_hash.empty();
  using Mode = config::HttpConnectionManager::ForwardClientCert;
  const bool told =
      manager.forward_client_cert == Mode::append_forward || manager.forward_client_cert == Mode::sanitize_set;
  if (peer.has_certificate && told) {
    const bool needs_chain = manager.xfcc_cert || manager.xfcc_chain;
    peer.certificate = client_certificate_element(
        manager, *tls, needs_chain ? net::peer_chain_der(transport) : std::vector<std::string>());
  }
  return peer;
}

HttpConnection::HttpConnection(Services& services, ConnectionInfo info, net::TransportPtr transport,
                               const config::HttpConnectionManager& manager, bool http2)
    : Session(std::move(info)),
      services_(services),
      manager_(manager),
      transport_(std::move(transport)),
      ids_(services.stat_ids.http(services.registry, manager.stat_prefix)),
      filters_(manager, services.registry, services.filter_stats),
      context_{
          *this, services, info_, manager, ids_, filters_, transport_->tls(), peer_of(info_, *transport_, manager)},
      codec_(http2 ? http::make_h2_server(services.executor.chunks, *this, limits_of(manager, transport_->tls()))
                   : http::make_h1_server(services.executor.chunks, *this, limits_of(manager, transport_->tls()))),
      idle_timer_(event::Timer::bind<&HttpConnection::on_idle_timeout>(this)),
      http2_(http2) {
  count_open();
  watch_idleness();
  if (manager_.max_connection_duration.count() > 0) {
    rare_timers().age.start_after(executor().timers, manager_.max_connection_duration);
  }
  if (http2_) rare_timers().minute.start_after(executor().timers, kMinute);
  transport_->set_events(this);  // shows what it holds unread from the loop
  executor().dirty(*this);       // HTTP/2 greets first
}

// === request ===

void HttpConnection::on_bytes(Chain& in) {
  if (state_ != State::open) {
    in.clear();  // nobody reads it; taking it keeps the peer's FIN from hiding behind it
    return;
  }
  stats().add(ids_.downstream_cx_rx_bytes_total, in.size());
  if (early_.empty()) {
    feed(in);
    if (!in.empty()) early_.append(std::move(in));
  } else {
    early_.append(std::move(in));
    feed_early();
  }
  in.clear();
  executor().run_ready();
  after_event();
}

void HttpConnection::feed(Chain& in) {
  const Expected<void> fed = codec_->feed(in);
  const uint32_t most = manager_.max_requests_per_connection;
  if (most != 0 && requests_ >= most && !draining_) {
    stats().add(ids_.downstream_cx_max_requests_reached);
    begin_drain();
  }
  if (fed) return;
  in.clear();
  count_failure(fed.error());
  PILLION_LOG_LIMITED(debug, executor().now(), "listener {}: client {}: {}",
                      info_.listener != nullptr ? info_.listener->name : std::string(), info_.remote.to_string(),
                      to_string(fed.error()));
}

// HTTP/1: the next pipelined request, once the one before it is answered.
void HttpConnection::feed_early() {
  if (!early_.empty() && !codec_->wants_pause()) feed(early_);
  const bool full = early_.size() > kEarlyBytesMax;
  if (full != early_paused_) {
    early_paused_ = full;
    full ? transport_->pause_reading() : transport_->resume_reading();
  }
}

http::ServerStreamEvents& HttpConnection::on_stream_begin(http::ServerStream& stream) {
  ++requests_;
  idle_timer_.stop();
  const http::Version version = http2_ ? http::Version::http2 : http::Version::http11;
  Exchange& exchange = exchanges_.push_back(Exchange::make(context_, stream, version));
  stats().add(ids_.downstream_rq_total);
  stats().add(ids_.downstream_rq_active);
  stats().add(http2_ ? ids_.downstream_rq_http2_total : ids_.downstream_rq_http1_total);
  return exchange;
}

// === response ===

void HttpConnection::flush() {
  if (state_ == State::gone) return;
  while (codec_->wants_produce() && !transport_->is_congested()) {
    Chain out;
    codec_->produce(out, kProduceBudgetBytes);
    if (out.empty()) break;
    stats().add(ids_.downstream_cx_tx_bytes_total, out.size());
    transport_->write(std::move(out));
    if (exchanges_.empty()) idle_timer_.stop();  // what is left moves: the time starts over
  }
  if (peer_ended_ && !eof_seen_) handle_eof();
  after_event();
}

void HttpConnection::touch() {
  if (state_ == State::open) executor().dirty(*this);
}

void HttpConnection::pause_reading() {
  if (http2_ || state_ != State::open) return;
  stats().add(ids_.downstream_flow_control_paused_reading_total);
  transport_->pause_reading();
}

void HttpConnection::resume_reading() {
  if (http2_ || state_ != State::open) return;
  stats().add(ids_.downstream_flow_control_resumed_reading_total);
  transport_->resume_reading();
}

void HttpConnection::end_after_answer() {
  if (!http2_) codec_->start_drain(true);
}

// What every edge ends with: write, go on with what was kept back, close where due.
void HttpConnection::after_event() {
  if (state_ != State::open) return;
  feed_early();
  if (codec_->wants_produce() && !transport_->is_congested()) executor().dirty(*this);
  settle_end();
  if (state_ == State::open) watch_idleness();
}

void HttpConnection::settle_end() {
  if (codec_->wants_produce()) return;
  if (codec_->wants_abort() && codec_->is_finished() && (had_tunnel_ || codec_->version() == http::Version::http10)) {
    // Neither a tunnel nor a body until the end of the connection says its length: only a reset tells that it was cut.
    transport_->reset();
    finish({Code::local_close, Side::local, Retry::never, 0, "a response was cut short"});
  } else if (codec_->is_finished()) {
    linger();
  } else if (codec_->is_output_finished() && !half_closed_) {
    half_closed_ = true;
    transport_->shutdown_write();
  }
}

// === the end ===

// The client may still be sending, and a socket that is closed with unread bytes is reset: the answer would be lost.
// Who floods is not waited for: to read the rest of that for seconds is what he wants.
void HttpConnection::linger() {
  const Error* const failure = codec_->failure();
  if (failure != nullptr) count_failure(*failure);
  const bool floods = failure != nullptr && failure->code == Code::flood;
  const bool wait = !peer_ended_ && !floods && manager_.delayed_close_timeout.count() > 0;
  if (!half_closed_) transport_->shutdown_write();
  half_closed_ = true;
  if (!wait) {
    finish({Code::local_close, Side::local, Retry::never, 0, "the connection is over"});
    return;
  }
  state_ = State::lingering;
  idle_timer_.stop();
  rare_timers().age.stop();
  rare_timers().minute.stop();
  early_.clear();
  if (std::exchange(early_paused_, false)) transport_->resume_reading();
  rare_timers().end.start_after(executor().timers, manager_.delayed_close_timeout);
}

// The FIN counts behind everything that was read before it, and behind the answers that are made by then.
void HttpConnection::on_eof() {
  peer_ended_ = true;
  if (state_ == State::lingering) return finish({Code::peer_closed, Side::downstream, Retry::never, 0, "FIN"});
  if (state_ == State::open) executor().dirty(*this);
}

void HttpConnection::handle_eof() {
  eof_seen_ = true;
  if (state_ != State::open) return;
  codec_->on_eof();
  executor().run_ready();
  // Who has sent everything and closes does not wait for an answer. A tunnel has two directions that end apart.
  const bool tunnel = !exchanges_.empty() && exchanges_.front().is_tunnel();
  if (codec_->active_streams() > 0 && !tunnel) {
    const Error why{Code::peer_closed, Side::downstream, Retry::never, 0, "the client closed the connection"};
    codec_->on_connection_lost(why);
    executor().run_ready();
    finish(why);
  }
}

void HttpConnection::on_closed(const Error& why) {
  if (state_ == State::gone) return;
  Error told = why;
  told.side = Side::downstream;
  codec_->on_connection_lost(told);
  executor().run_ready();
  finish(told);
}

void HttpConnection::close() {
  if (state_ == State::gone) return;
  const Error why{Code::draining, Side::local, Retry::never, 0, "the drain time is over"};
  codec_->on_connection_lost(why);
  executor().run_ready();
  finish(why);
}

// HTTP/1: `connection: close` on the next answer, or the end where none is asked for. HTTP/2: a GOAWAY that still takes
// streams, and later the last one.
void HttpConnection::begin_drain() {
  if (draining_ || state_ != State::open) return;
  draining_ = true;
  stats().add(ids_.downstream_cx_drain_close);
  codec_->start_drain(false);
  executor().dirty(*this);
  rare_timers().end.start_after(executor().timers, http2_ ? manager_.drain_timeout : kIdleDrainTime);
}

void HttpConnection::finish_drain() {
  drained_ = true;
  codec_->start_drain(true);
  executor().dirty(*this);
}

void HttpConnection::on_drain_step() {
  if (state_ == State::lingering) return on_linger_timeout();
  if (state_ != State::open || drained_) return;
  // An answer under way may have begun before the drain, and says nothing of it: its client's next request is told.
  if (!http2_ && codec_->active_streams() > 0) return rare_timers().end.start_after(executor().timers, kIdleDrainTime);
  finish_drain();
}

void HttpConnection::on_linger_timeout() {
  stats().add(ids_.downstream_cx_delayed_close_timeout);
  finish({Code::local_close, Side::local, Retry::never, 0, "the client did not close in time"});
}

// Lets go of everything. The memory waits, also for exchanges that have yet to hear of it.
// Once; some failures of HTTP/2 are found only while its GOAWAY is written, and are told by the codec's end.
void HttpConnection::count_failure(const Error& why) {
  if (std::exchange(failure_counted_, true)) return;
  stats().add(ids_.downstream_cx_protocol_error);
  ids_.floods.count(stats(), why);
}

void HttpConnection::finish(const Error& why) {
  if (state_ == State::gone) return;
  state_ = State::gone;
  count_close(why);
  idle_timer_.stop();
  if (rare_timers_ != nullptr) {
    rare_timers_->age.stop();
    rare_timers_->end.stop();
    rare_timers_->minute.stop();
  }
  event::Flushable::unlink();
  early_.clear();
  if (codec_->active_streams() > 0) codec_->on_connection_lost(why);
  transport_->close();
  if (exchanges_.empty()) leave_host();
}

void HttpConnection::leave_host() {
  if (std::exchange(removed_, true)) return;
  services_.host.remove(*this);
}

void HttpConnection::retire(Exchange& exchange) {
  had_tunnel_ |= exchange.is_tunnel();
  executor().retire(exchanges_.take(exchange));
  if (state_ == State::gone && exchanges_.empty()) leave_host();
}

// === timers and counters ===

void HttpConnection::watch_idleness() {
  // An exchange has its own timers, but it is over once the codec has all of its answer; a client that does not take
  // that would hold it for ever.
  const bool only_output_left = codec_->active_streams() > 0 || codec_->wants_produce();
  const Duration limit = only_output_left ? manager_.stream_idle_timeout : manager_.idle_timeout;
  if (!exchanges_.empty() || limit.count() == 0) {
    idle_timer_.stop();
  } else if (!idle_timer_.is_armed() || only_output_left != only_output_left_) {
    idle_timer_.start_after(executor().timers, limit);
  }
  only_output_left_ = only_output_left;
}

void HttpConnection::on_idle_timeout() {
  stats().add(ids_.downstream_cx_idle_timeout);
  if (only_output_left_ || drained_) {
    transport_->reset();
    return finish({Code::stream_idle_timeout, Side::local, Retry::never, 0, "the client does not take its answer"});
  }
  if (http2_) return begin_drain();
  linger();
}

void HttpConnection::on_max_duration() {
  stats().add(ids_.downstream_cx_max_duration_reached);
  begin_drain();
}

void HttpConnection::on_minute() {
  codec_->on_minute();
  rare_timers().minute.start_after(executor().timers, kMinute);
}

void HttpConnection::count_open() {
  stats().add(ids_.downstream_cx_total);
  stats().add(ids_.downstream_cx_active);
  stats().add(http2_ ? ids_.downstream_cx_http2_total : ids_.downstream_cx_http1_total);
  stats().add(http2_ ? ids_.downstream_cx_http2_active : ids_.downstream_cx_http1_active);
  if (context_.tls == nullptr) return;
  stats().add(ids_.downstream_cx_ssl_total);
  stats().add(ids_.downstream_cx_ssl_active);
}

void HttpConnection::count_close(const Error& why) {
  const bool by_peer = why.side == Side::downstream;
  stats().sub(ids_.downstream_cx_active);
  stats().sub(http2_ ? ids_.downstream_cx_http2_active : ids_.downstream_cx_http1_active);
  if (context_.tls != nullptr) stats().sub(ids_.downstream_cx_ssl_active);
  stats().add(ids_.downstream_cx_destroy);
  stats().add(by_peer ? ids_.downstream_cx_destroy_remote : ids_.downstream_cx_destroy_local);
  const Duration age = executor().now() - info_.accepted;
  stats().record(ids_.downstream_cx_length_ms, static_cast<uint64_t>(std::max<int64_t>(to_ms(age), 0)));
  if (codec_->active_streams() == 0) return;
  stats().add(ids_.downstream_cx_destroy_active_rq);
  stats().add(by_peer ? ids_.downstream_cx_destroy_remote_active_rq : ids_.downstream_cx_destroy_local_active_rq);
}

}  // namespace

static_assert(sizeof(HttpConnection) <= 544);  // a sidecar has thousands of them, and nearly all are idle

std::unique_ptr<Session> make_http_connection(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                              const config::HttpConnectionManager& manager, bool http2) {
  return std::make_unique<HttpConnection>(services, std::move(info), std::move(transport), manager, http2);
}

}  // namespace pillion::downstream
