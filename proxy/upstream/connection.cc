#include "proxy/upstream/connection.h"

#include "proxy/base/log.h"
#include "proxy/upstream/cluster.h"

namespace pillion::upstream {
namespace {

constexpr size_t kProduceBudgetBytes = 256 * 1024;  // per flush: the unit in which bulk leaves

}  // namespace

Connection::Connection(ConnectionOwner& pool, net::TransportPtr transport, std::unique_ptr<http::ClientCodec> codec,
                       BreakerSlot slot)
    : pool_(pool),
      executor_(pool.endpoint().cluster().services().executor),
      transport_(std::move(transport)),
      codec_(std::move(codec)),
      slot_(std::move(slot)),
      idle_timer_(event::Timer::bind<&Connection::on_idle_timeout>(this)),
      age_timer_(event::Timer::bind<&Connection::on_max_duration>(this)),
      keepalive_timer_(event::Timer::bind<&Connection::on_keepalive>(this)) {
  transport_->set_events(this);
  const Cluster& cluster = pool_.endpoint().cluster();
  const config::Cluster& config = cluster.config();
  const ClusterStats& stats = cluster.stats();
  cluster.add_stat(stats.upstream_cx_total);
  cluster.add_stat(stats.upstream_cx_active);
  cluster.add_stat(version() == http::Version::http2 ? stats.upstream_cx_http2_total : stats.upstream_cx_http1_total);
  pool_.endpoint().shared().active_connections.fetch_add(1, std::memory_order_relaxed);
  if (config.idle_timeout.count() > 0) idle_timer_.start_after(executor_.timers, config.idle_timeout);
  if (config.max_connection_duration.count() > 0) {
    age_timer_.start_after(executor_.timers, config.max_connection_duration);
  }
  if (version() == http::Version::http2 && config.h2_keepalive_interval.count() > 0) {
    keepalive_timer_.start_after(executor_.timers, config.h2_keepalive_interval);
  }
  executor_.dirty(*this);  // HTTP/2 greets first
}

Connection::~Connection() = default;

bool Connection::is_used_up() const {
  const uint32_t max = pool_.endpoint().cluster().config().max_requests_per_connection;
  return draining_ || (max != 0 && streams_started_ >= max);
}

// === request ===

http::ClientStream& Connection::start(http::ClientStreamEvents& events) {
  ++streams_started_;
  idle_timer_.stop();
  http::ClientStream& stream = codec_->start(events);
  executor_.dirty(*this);
  pool_.update(*this);
  return stream;
}

void Connection::touch() {
  if (!closing_) executor_.dirty(*this);
}

void Connection::flush() {
  if (closing_) return;
  while (codec_->wants_produce() && !transport_->is_congested()) {
    Chain out;
    codec_->produce(out, kProduceBudgetBytes);
    if (out.empty()) break;
    pool_.endpoint().cluster().add_stat(pool_.endpoint().cluster().stats().upstream_cx_tx_bytes_total, out.size());
    transport_->write(std::move(out));
  }
  after_event();
}

// === response ===

void Connection::on_bytes(Chain& in) {
  const Cluster& cluster = pool_.endpoint().cluster();
  const size_t before = in.size();
  const Expected<void> fed = codec_->feed(in);
  cluster.add_stat(cluster.stats().upstream_cx_rx_bytes_total, before - in.size());
  if (!fed) {
    cluster.add_stat(cluster.stats().upstream_cx_protocol_error);
    PILLION_LOG_LIMITED(info, executor_.now(), "cluster {}: endpoint {}: {}", cluster.config().name,
                        pool_.endpoint().address().to_string(), to_string(fed.error()));
    in.clear();
    codec_->on_connection_lost(fed.error());
    finish(false);
  } else {
    after_event();
  }
  executor_.run_ready();
}

void Connection::on_eof() {
  codec_->on_eof();
  codec_->on_connection_lost(
      {Code::peer_closed, Side::upstream, Retry::if_reused, 0, "the endpoint closed the connection"});
  finish(true);
  executor_.run_ready();
}

void Connection::on_writable() {
  executor_.dirty(*this);
}

void Connection::on_closed(const Error& why) {
  Error error = why;
  error.side = Side::upstream;
  error.retry = Retry::if_reused;
  codec_->on_connection_lost(error);
  finish(true);
  executor_.run_ready();
}

// === steering ===

void Connection::pause_reading() {
  if (version() != http::Version::http2 && !closing_) {
    ++pauses_;
    transport_->pause_reading();
  }
}

void Connection::resume_reading() {
  if (version() != http::Version::http2 && !closing_ && pauses_ > 0) {
    --pauses_;
    transport_->resume_reading();
  }
}

void Connection::drain() {
  draining_ = true;
  after_event();
}

void Connection::on_idle_timeout() {
  if (!is_idle()) return;
  pool_.endpoint().cluster().add_stat(pool_.endpoint().cluster().stats().upstream_cx_idle_timeout);
  finish(false);
}

void Connection::on_max_duration() {
  drain();
}

// An endpoint that does not answer a PING within the timeout is gone, whatever its socket says.
void Connection::on_keepalive() {
  const config::Cluster& config = pool_.endpoint().cluster().config();
  if (codec_->awaits_pong()) {
    codec_->on_connection_lost({Code::idle_timeout, Side::upstream, Retry::never, 0, "no answer to a keep-alive PING"});
    finish(false);
    executor_.run_ready();
    return;
  }
  codec_->ping();
  executor_.dirty(*this);
  keepalive_timer_.start_after(executor_.timers, config.h2_keepalive_timeout.count() > 0
                                                     ? config.h2_keepalive_timeout
                                                     : config.h2_keepalive_interval);
}

void Connection::after_event() {
  if (closing_) return;
  if (codec_->wants_produce()) executor_.dirty(*this);
  if (codec_->is_finished() || (is_idle() && is_going_away())) {
    if (!codec_->wants_produce()) finish(false);
    return;
  }
  if (is_idle() && !idle_timer_.is_armed()) {
    const Duration idle = pool_.endpoint().cluster().config().idle_timeout;
    if (idle.count() > 0) idle_timer_.start_after(executor_.timers, idle);
  }
  pool_.update(*this);
}

// === teardown ===

void Connection::finish(bool by_peer) {
  if (closing_) return;
  closing_ = true;
  const Cluster& cluster = pool_.endpoint().cluster();
  const ClusterStats& stats = cluster.stats();
  cluster.sub_stat(stats.upstream_cx_active);
  cluster.add_stat(stats.upstream_cx_destroy);
  cluster.add_stat(by_peer ? stats.upstream_cx_destroy_remote : stats.upstream_cx_destroy_local);
  pool_.endpoint().shared().active_connections.fetch_sub(1, std::memory_order_relaxed);
  idle_timer_.stop();
  age_timer_.stop();
  keepalive_timer_.stop();
  slot_.release();
  event::Flushable::unlink();
  if (codec_->active_streams() > 0) {
    cluster.add_stat(stats.upstream_cx_destroy_with_active_rq);
    codec_->on_connection_lost({Code::local_close, Side::local, Retry::never, 0, "the connection was closed"});
  }
  transport_->close();
  pool_.remove(*this);
}

}  // namespace pillion::upstream
