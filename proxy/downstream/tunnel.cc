#include "proxy/downstream/tunnel.h"

#include "proxy/downstream/access_log.h"
#include "proxy/downstream/format_values.h"

namespace pillion::downstream {
Tunnel::Tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport, const config::TcpProxy& proxy,
               TunnelStart start)
    : Session(std::move(info)),
      services_(services),
      proxy_(proxy),
      stats_(services.tunnel_stats.of(services.registry, proxy.stat_prefix)),
      transport_(std::move(transport)),
      connect_(std::move(start.connect)),
      start_wall_us_(wall_now_us()),
      upstream_eof_early_(start.upstream_eof) {
  services_.executor.stats.add(stats_.downstream_cx_total);
  downstream_.transport = transport_.get();
  downstream_.eof = start.downstream_eof;
  transport_->set_events(&downstream_);
  touch();
  if (proxy_.max_connection_duration.count() > 0) {
    age_timer_.start_after(services_.executor.timers, proxy_.max_connection_duration);
  }
  if (connect_ == nullptr) {
    connect_ = std::make_unique<TunnelConnect>(services_, proxy_, info_, *this);
    connect_->start();
  } else {
    connect_->set_events(*this);
    if (connect_->is_connected()) on_connected();
  }
}

Tunnel::~Tunnel() = default;

// === connecting ===

void Tunnel::on_connected() {
  upstream_.transport = connect_->transport();
  upstream_.transport->set_events(&upstream_);
  upstream_.eof = upstream_eof_early_;
  if (upstream_.eof) relay_eof(upstream_);
  resume(downstream_);
  // Bytes that came meanwhile are still the transport's; a pause and its end make it show them again.
  downstream_.transport->pause_reading();
  downstream_.transport->resume_reading();
  if (downstream_.eof) relay_eof(downstream_);
}

void Tunnel::on_connect_failed(const Error& why) {
  if (why.code == Code::no_cluster) services_.executor.stats.add(stats_.downstream_cx_no_route);
  end(why);
}

// === relaying ===

void Tunnel::on_bytes(Half& from, Chain& in) {
  touch();
  Half& to = other(from);
  if (to.transport == nullptr) {
    if (in.size() >= kEarlyBytesMax) pause(from);
    return;
  }
  from.bytes += in.size();
  to.transport->write(std::move(in));
  if (to.transport->is_congested()) pause(from);
}

void Tunnel::on_writable(Half& at) {
  touch();
  resume(other(at));
}

void Tunnel::on_eof(Half& from) {
  from.eof = true;
  if (!other(from).eof) upstream_finished_first_ = &from == &upstream_;
  touch();
  if (other(from).transport != nullptr) relay_eof(from);
}

void Tunnel::relay_eof(Half& from) {
  Half& to = other(from);
  // Of a side that finished before the other was there: its bytes were left unread.
  Chain early = from.transport->take_unread();
  if (!early.empty()) {
    from.bytes += early.size();
    to.transport->write(std::move(early));
  }
  to.transport->shutdown_write();
  if (from.eof && to.eof) begin_closing();
}

void Tunnel::pause(Half& half) {
  if (half.paused) return;
  half.paused = true;
  half.transport->pause_reading();
  if (&half == &downstream_) services_.executor.stats.add(stats_.downstream_flow_control_paused_reading_total);
}

void Tunnel::resume(Half& half) {
  if (!half.paused) return;
  half.paused = false;
  half.transport->resume_reading();
  if (&half == &downstream_) services_.executor.stats.add(stats_.downstream_flow_control_resumed_reading_total);
}

// === time ===

void Tunnel::touch() {
  Duration limit = proxy_.idle_timeout;
  if ((downstream_.eof || upstream_.eof) && limit == kIdleTimeoutUnset) limit = kHalfClosedIdle;
  if (limit.count() > 0) idle_timer_.start_after(services_.executor.timers, limit);
}

void Tunnel::on_idle() {
  services_.executor.stats.add(stats_.idle_timeout);
  end({Code::idle_timeout, Side::local, Retry::never, 0, "the tunnel's idle timeout"});
}

void Tunnel::on_max_duration() {
  services_.executor.stats.add(stats_.max_downstream_connection_duration);
  end({Code::max_duration, Side::local, Retry::never, 0, "max_downstream_connection_duration"});
}

// === the end ===

void Tunnel::on_broken(Half& at, const Error& why) {
  if (ended_) return;
  at.eof = true;
  broken_ = why;
  broken_.side = &at == &downstream_ ? Side::downstream : Side::upstream;
  // The other transport is flushed first, since it was marked first: a server that answers and then resets has
  // answered.
  services_.executor.dirty(*this);
}

void Tunnel::flush() {
  end(broken_);
}

// Both sides have finished; a slow reader gets the time it needs as long as it reads.
void Tunnel::begin_closing() {
  idle_timer_.stop();
  closing_moved_ = services_.executor.now();
  closing_timer_.start_after(services_.executor.timers, Duration(0));
}

void Tunnel::on_closing_look() {
  const size_t pending = downstream_.transport->pending_write_bytes() + upstream_.transport->pending_write_bytes();
  const Instant now = services_.executor.now();
  if (pending != closing_bytes_) closing_moved_ = now;
  closing_bytes_ = pending;
  if (pending == 0 || now - closing_moved_ > kClosingIdle) {
    end({});
    return;
  }
  closing_timer_.start_after(services_.executor.timers, kClosingLook);
}

void Tunnel::end(const Error& why) {
  if (ended_) return;
  ended_ = true;
  event::Flushable::unlink();
  idle_timer_.stop();
  age_timer_.stop();
  closing_timer_.stop();
  log(why);
  services_.executor.stats.add(stats_.downstream_cx_rx_bytes_total, downstream_.bytes);
  services_.executor.stats.add(stats_.downstream_cx_tx_bytes_total, upstream_.bytes);
  connect_->count_bytes(upstream_.bytes, downstream_.bytes);
  const bool reset = why.code == Code::peer_reset;
  connect_->close(why.side == Side::upstream || (why.code == Code::ok && upstream_finished_first_),
                  reset && why.side == Side::downstream);
  reset&& why.side == Side::upstream ? transport_->reset() : transport_->close();
  services_.host.remove(*this);
}

// Flags are told of a tunnel that could not be made, as Envoy does; how one that stood has ended is in its counters.
void Tunnel::log(const Error& why) {
  if (proxy_.access_logs.empty()) return;
  filter::ExchangeRecord record;
  record.is_tunnel = true;
  record.start_wall_us = start_wall_us_;
  record.start = info_.accepted;
  record.end = services_.executor.now();
  record.request_body_bytes = downstream_.bytes;
  record.response_body_bytes = upstream_.bytes;
  record.attempts_total = connect_->attempts();
  record.retry_limit_exceeded = connect_->is_limit_exceeded();
  if (upstream_.transport == nullptr) record.failure = why;
  record.cluster = connect_->cluster_name();
  if (info_.chain != nullptr) record.filter_chain = info_.chain->name;
  record.upstream_address = connect_->endpoint_address();
  if (upstream_.transport != nullptr) record.upstream_local_address = upstream_.transport->local_address();
  record.downstream_remote = info_.remote;
  record.downstream_direct_remote = transport_->peer_address();
  record.downstream_local = info_.local;
  record.downstream_tls = transport_->tls();
  record.sni = *info_.sni;
  record.connection_id = info_.id;
  const ExchangeValues values(record);
  for (const config::AccessLog& log : proxy_.access_logs) {
    if (is_logged(log, record)) services_.host.log(log.path, access_log_line(log, values));
  }
}

// === construction ===

std::unique_ptr<Session> make_tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                     const config::TcpProxy& proxy, TunnelStart start) {
  return std::make_unique<Tunnel>(services, std::move(info), std::move(transport), proxy, std::move(start));
}

std::unique_ptr<Session> make_tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                     const config::TcpProxy& proxy) {
  return make_tunnel(services, std::move(info), std::move(transport), proxy, {});
}

}  // namespace pillion::downstream
