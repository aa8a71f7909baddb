#include "proxy/upstream/connection.h"

#include "proxy/base/check.h"
#include "proxy/base/log.h"

namespace pillion::upstream {
namespace {

constexpr size_t kProduceBudgetBytes = 256 * 1024;  // per flush: the unit in which bulk leaves
constexpr Duration kMinute{60'000'000};

}  // namespace

Connection::Connection(ConnectionOwner& pool, net::TransportPtr transport, std::unique_ptr<http::ClientCodec> codec,
                       ConnectionSlot slot)
    : pool_(pool),
      executor_(pool.context().executor()),
      transport_(std::move(transport)),
      codec_(std::move(codec)),
      slot_(std::move(slot)),
      idle_timer_(event::Timer::bind<&Connection::on_idle_timeout>(this)),
      age_timer_(event::Timer::bind<&Connection::on_max_duration>(this)),
      keepalive_timer_(event::Timer::bind<&Connection::on_keepalive>(this)),
      minute_timer_(event::Timer::bind<&Connection::on_minute>(this)) {
  transport_->set_events(this);
  const ClusterContext& cluster = pool_.context();
  const config::Cluster& config = *cluster.config;
  const bool h2 = version() == http::Version::http2;
  cluster.add_stat(h2 ? cluster.stats().upstream_cx_http2_total : cluster.stats().upstream_cx_http1_total);
  if (config.idle_timeout.count() > 0) idle_timer_.start_after(executor_.timers, config.idle_timeout);
  if (config.max_connection_duration.count() > 0) {
    age_timer_.start_after(executor_.timers, config.max_connection_duration);
  }
  if (h2) {
    minute_timer_.start_after(executor_.timers, kMinute);
    if (config.h2_keepalive_interval.count() > 0) {
      keepalive_timer_.start_after(executor_.timers, config.h2_keepalive_interval);
    }
  }
  executor_.dirty(*this);  // HTTP/2 greets first
}

Connection::~Connection() = default;

bool Connection::is_used_up() const {
  const uint32_t max = pool_.context().config->max_requests_per_connection;
  return draining_ || (max != 0 && streams_started_ >= max);
}

// === request ===

http::ClientStream& Connection::start(http::ClientStreamEvents& events) {
  PILLION_DCHECK(has_room());
  ++streams_started_;
  idle_timer_.stop();
  if (streams_started_ == pool_.context().config->max_requests_per_connection) {
    pool_.context().add_stat(pool_.context().stats().upstream_cx_max_requests);
  }
  http::ClientStream& stream = codec_->start(events);
  executor_.dirty(*this);
  pool_.update(*this);
  return stream;
}

void Connection::touch() {
  if (!closing_) executor_.dirty(*this);
}

void Connection::let_go(http::ClientStream& stream, Code why) {
  if (closing_) return;  // the codec is about to die, and all its streams with it
  released_.push_back({&stream, why});
  executor_.dirty(*this);
  if (!in_codec_) end_codec_call();
}

void Connection::end_codec_call() {
  in_codec_ = false;
  for (const Release& r : released_) {
    if (r.why == Code::ok) {
      r.stream->detach();
    } else {
      r.stream->reset(r.why);
    }
  }
  released_.clear();
}

void Connection::flush() {
  if (closing_) return;
  while (codec_->wants_produce() && !transport_->is_congested()) {
    Chain out;
    in_codec_ = true;
    codec_->produce(out, kProduceBudgetBytes);
    end_codec_call();
    if (out.empty()) break;
    pool_.context().add_stat(pool_.context().stats().upstream_cx_tx_bytes_total, out.size());
    transport_->write(std::move(out));
  }
  if (!write_shut_ && !codec_->is_finished() && codec_->is_output_finished() && !codec_->wants_produce()) {
    write_shut_ = true;  // a tunnel's near end is done
    transport_->shutdown_write();
  }
  after_event();
}

// === response ===

void Connection::on_bytes(Chain& in) {
  const ClusterContext& cluster = pool_.context();
  const size_t before = in.size();
  in_codec_ = true;
  const Expected<void> fed = codec_->feed(in);
  end_codec_call();
  cluster.add_stat(cluster.stats().upstream_cx_rx_bytes_total, before - in.size());
  if (!fed) {
    count_failure(fed.error());
    PILLION_LOG_LIMITED(info, executor_.now(), "cluster {}: endpoint {}: {}", cluster.config->name,
                        transport_->peer_address().to_string(), to_string(fed.error()));
    in.clear();
    flush();  // what the peer should still hear
    lose(fed.error(), false);
  } else {
    after_event();
  }
  executor_.run_ready();
}

void Connection::on_eof() {
  eof_seen_ = true;
  in_codec_ = true;
  codec_->on_eof();
  end_codec_call();
  after_event();
  executor_.run_ready();
}

void Connection::on_writable() {
  executor_.dirty(*this);
}

void Connection::on_closed(const Error& why) {
  Error error = why;
  error.side = Side::upstream;
  error.retry = Retry::if_reused;
  lose(error, true);
  executor_.run_ready();
}

// === steering ===

void Connection::pause_reading() {
  if (version() == http::Version::http2 || closing_) return;
  ++pauses_;
  transport_->pause_reading();
}

void Connection::resume_reading() {
  if (version() == http::Version::http2 || closing_ || pauses_ == 0) return;
  --pauses_;
  transport_->resume_reading();
}

void Connection::drain() {
  if (draining_) return;
  draining_ = true;
  after_event();
}

void Connection::abort() {
  lose({Code::local_close, Side::local, Retry::never, 0, "the connection was closed"}, false);
}

void Connection::on_idle_timeout() {
  if (!is_idle()) return;
  pool_.context().add_stat(pool_.context().stats().upstream_cx_idle_timeout);
  finish(false);
}

void Connection::on_max_duration() {
  pool_.context().add_stat(pool_.context().stats().upstream_cx_max_duration_reached);
  drain();
}

// An endpoint that does not answer a PING within the timeout is gone, whatever its socket says.
void Connection::on_keepalive() {
  const config::Cluster& config = *pool_.context().config;
  if (pinged_ && codec_->awaits_pong()) {
    lose({Code::idle_timeout, Side::upstream, Retry::never, 0, "no answer to a keep-alive PING"}, false);
    executor_.run_ready();
    return;
  }
  pinged_ = !pinged_;
  if (pinged_) {
    codec_->ping();
    executor_.dirty(*this);
  }
  const bool has_timeout = config.h2_keepalive_timeout.count() > 0;
  keepalive_timer_.start_after(executor_.timers,
                               pinged_ && has_timeout ? config.h2_keepalive_timeout : config.h2_keepalive_interval);
}

void Connection::on_minute() {
  codec_->on_minute();
  minute_timer_.start_after(executor_.timers, kMinute);
}

void Connection::after_event() {
  if (closing_) return;
  if (codec_->wants_produce()) executor_.dirty(*this);
  if (codec_->is_finished() || (is_idle() && is_going_away())) {
    if (!codec_->wants_produce()) return finish(eof_seen_);
  } else if (is_idle() && !idle_timer_.is_armed()) {
    const Duration idle = pool_.context().config->idle_timeout;
    if (idle.count() > 0) idle_timer_.start_after(executor_.timers, idle);
  }
  pool_.update(*this);
}

// === teardown ===

// Once; some failures of HTTP/2 are found only while its GOAWAY is written, and are told by the codec's end.
void Connection::count_failure(const Error& why) {
  if (std::exchange(failure_counted_, true)) return;
  const ClusterContext& cluster = pool_.context();
  cluster.add_stat(cluster.stats().upstream_cx_protocol_error);
  cluster.stats().floods.count(executor_.stats, why);
}

void Connection::lose(const Error& why, bool by_peer) {
  if (closing_) return;
  const ClusterContext& cluster = pool_.context();
  if (codec_->active_streams() > 0) cluster.add_stat(cluster.stats().upstream_cx_destroy_with_active_rq);
  closing_ = true;  // what the streams let go of now, dies with the codec
  codec_->on_connection_lost(why);
  closing_ = false;
  finish(by_peer);
}

void Connection::finish(bool by_peer) {
  if (closing_) return;
  closing_ = true;
  if (codec_->failure() != nullptr) count_failure(*codec_->failure());
  const ClusterContext& cluster = pool_.context();
  cluster.add_stat(cluster.stats().upstream_cx_destroy);
  cluster.add_stat(by_peer ? cluster.stats().upstream_cx_destroy_remote : cluster.stats().upstream_cx_destroy_local);
  idle_timer_.stop();
  age_timer_.stop();
  keepalive_timer_.stop();
  minute_timer_.stop();
  event::Flushable::unlink();
  if (codec_->wants_abort()) {
    transport_->reset();
  } else {
    transport_->close();
  }
  slot_.release();
  pool_.remove(*this);
}

}  // namespace pillion::upstream
