#include "proxy/upstream/pool.h"

#include <algorithm>

namespace pillion::upstream {
namespace {

constexpr size_t kStreamsExpectedH2 = 100;  // what a dial to an HTTP/2 endpoint is counted as before its SETTINGS

http::CodecLimits limits_of(const config::Cluster& c) {
  http::CodecLimits limits;
  limits.head_bytes_max = c.response_head_bytes_max;
  limits.headers_max = c.response_headers_max;
  limits.concurrent_streams_max = c.h2_concurrent_streams_max;
  limits.stream_window_bytes = c.h2_stream_window_bytes;
  limits.connection_window_bytes = c.h2_connection_window_bytes;
  limits.outbound_frames_max = c.h2_limits.outbound_frames_max;
  limits.outbound_control_frames_max = c.h2_limits.outbound_control_frames_max;
  limits.empty_frames_max = c.h2_limits.empty_frames_max;
  limits.priority_frames_per_stream_max = c.h2_limits.priority_frames_per_stream_max;
  limits.window_updates_per_data_frame_max = c.h2_limits.window_updates_per_data_frame_max;
  return limits;
}

net::AlpnOffer alpn_of(config::Cluster::Protocol protocol) {
  switch (protocol) {
    case config::Cluster::Protocol::http2: return net::AlpnOffer::http2;
    case config::Cluster::Protocol::automatic: return net::AlpnOffer::http2_or_http11;
    case config::Cluster::Protocol::http1:
    case config::Cluster::Protocol::downstream: break;  // resolved by who asks for the pool
  }
  return net::AlpnOffer::http11;
}

}  // namespace

// A connection that is being made. Its slot passes to the connection.
class PendingDial final : public event::Retirable, public ListNode<>, public net::DialEvents {
 public:
  PendingDial(Pool& pool, ConnectionSlot slot) : slot(std::move(slot)), pool_(pool) {}

  void start(net::Dialer& dialer, const net::DialOptions& options) { dial_ = dialer.dial(options, *this); }
  void on_dialed(net::TransportPtr transport) override { pool_.on_dialed(*this, std::move(transport)); }
  void on_dial_failed(const Error& why) override { pool_.on_dial_failed(*this, why); }
  void cancel() {
    dial_.reset();
    slot.release();
  }

  ConnectionSlot slot;

 private:
  Pool& pool_;
  std::unique_ptr<net::Dial> dial_;
};

void Waiter::leave() {
  ListNode<>::unlink();
  pending_.release();
  if (pool_ == nullptr) return;
  --pool_->waiting_;
  pool_->context().sub_stat(pool_->context().stats().upstream_rq_pending_active);
  pool_ = nullptr;
}

Waiter* Pool::pop_waiter() {
  if (waiters_.empty()) return nullptr;
  Waiter& w = waiters_.front();
  w.leave();
  return &w;
}

Pool::Pool(const DialTarget& target, config::Cluster::Protocol protocol, ServerName server_name)
    : target_(target), protocol_(protocol), server_name_(std::move(server_name)) {}

Pool::~Pool() {
  close();
}

// One that drains takes nobody any more.
bool Pool::may_come_free() const {
  return !ready_.empty() || !busy_.empty();
}

bool Pool::has_connections() const {
  return !ready_.empty() || !busy_.empty() || !draining_.empty();
}

bool Pool::is_empty() const {
  return dials_.empty() && !has_connections() && waiters_.empty();
}

// === acquiring ===

Expected<Connection*> Pool::acquire(Waiter& waiter, uint32_t priority) {
  if (!ready_.empty()) return &ready_.front();
  const ClusterContext& cluster = context();
  const ClusterStats& stats = cluster.stats();
  waiter.pending_ = BreakerSlot::take(cluster.counts(priority).pending, cluster.limits(priority).pending_max);
  if (!waiter.pending_) {
    cluster.add_stat(stats.upstream_rq_pending_overflow);
    return std::unexpected(
        Error{Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_pending_requests"});
  }
  cluster.add_stat(stats.upstream_rq_pending_total);
  cluster.add_stat(stats.upstream_rq_pending_active);
  waiter.pool_ = this;
  waiter.priority_ = priority;
  waiters_.push_back(waiter);
  ++waiting_;
  if (const Expected<void> dialed = dial_for_waiters(); !dialed) {
    waiter.leave();
    return std::unexpected(dialed.error());
  }
  return nullptr;
}

bool Pool::is_agreed_on_dial() const {
  const config::TlsContext* tls = target_.tls();
  if (tls == nullptr || protocol_ == config::Cluster::Protocol::http2) return false;
  return protocol_ == config::Cluster::Protocol::automatic ||
         (context().config->carries_http1 && !tls->certificates.empty());
}

// As long as nothing is known of the endpoint, one dial is to do for all: they would be many too many if it speaks
// HTTP/2, and if not, they are made when that is known.
Pool::Room Pool::expected_room() const {
  const bool h2 = protocol_ == config::Cluster::Protocol::http2 ||
                  (is_agreed_on_dial() && learned_.value_or(http::Version::http2) == http::Version::http2);
  if (!h2) return {};
  const config::Cluster& config = *context().config;
  size_t streams = std::min<size_t>(kStreamsExpectedH2, config.h2_concurrent_streams_max);
  if (config.max_requests_per_connection > 0) streams = std::min<size_t>(streams, config.max_requests_per_connection);
  return {true, std::max<size_t>(streams, 1)};
}

// One connection for each waiter that none of the dials under way will have room for. An error if the waiters have
// nothing left to hope for.
Expected<void> Pool::dial_for_waiters() {
  const size_t per_dial = expected_room().streams;
  while (waiting_ > dials_.count() * per_dial) {
    const bool is_only = dials_.empty() && !has_connections();
    const uint32_t priority = waiters_.back().priority_;
    const ClusterContext& cluster = context();
    BreakerCounts& counts = cluster.counts(priority);
    if (!is_only && counts.connections.load(std::memory_order_relaxed) >= cluster.limits(priority).connections_max) {
      // Somebody's connection will come free, or a dial will end: then the waiter is served.
      cluster.add_stat(cluster.stats().upstream_cx_overflow);
      return {};
    }
    if (is_only && counts.connections.load(std::memory_order_relaxed) >= cluster.limits(priority).connections_max) {
      cluster.add_stat(cluster.stats().upstream_cx_overflow);
    }
    if (const Expected<void> dialed = dial_one(priority); !dialed) {
      if (!is_only) return {};
      return dialed;
    }
  }
  return {};
}

Expected<void> Pool::dial_one(uint32_t priority) {
  Expected<net::DialOptions> options = target_.dial_options(server_name_);
  if (!options) return std::unexpected(options.error());
  options->alpn_default = alpn_of(protocol_);
  options->carries_http1 = context().config->carries_http1;
  BreakerSlot breaker = BreakerSlot::take_over_limit(context().counts(priority).connections);
  ConnectionSlot slot(context(), target_.shared_pointer(), std::move(breaker));
  PendingDial& dial = dials_.push_back(std::make_unique<PendingDial>(*this, std::move(slot)));
  dial.start(context().services.dialer, *options);
  return {};
}

// Who comes when the peer's limit of streams is reached, does not wait for a handshake. Whether it succeeds is no
// matter.
void Pool::dial_ahead(const Connection& connection) {
  if (!connection.is_filling_up() || is_draining_ || !dials_.empty() || ready_.count() > 1) return;
  const ClusterContext& cluster = context();
  const uint32_t open = cluster.counts(0).connections.load(std::memory_order_relaxed);
  if (open < cluster.limits(0).connections_max) (void)dial_one(0);
}

void Pool::on_dialed(PendingDial& dial, net::TransportPtr transport) {
  ClusterContext& cluster = context();
  event::Executor& executor = cluster.executor();
  const net::TlsInfo* tls = transport->tls();
  http::CodecLimits limits = limits_of(*cluster.config);
  limits.carries_http1 = tls != nullptr && tls->alpn == config::kCarryAlpn;
  const bool h2 = protocol_ == config::Cluster::Protocol::http2 || limits.carries_http1 ||
                  (protocol_ == config::Cluster::Protocol::automatic && tls != nullptr && tls->alpn == "h2");
  if (is_agreed_on_dial()) learned_ = h2 ? http::Version::http2 : http::Version::http11;
  if (target_.tls() != nullptr) cluster.add_stat(cluster.stats().ssl_handshake);
  cluster.report(target_.shared(), {.kind = Outcome::Kind::connected});
  std::unique_ptr<http::ClientCodec> codec =
      h2 ? http::make_h2_client(executor.chunks, limits) : http::make_h1_client(executor.chunks, limits);
  auto connection = std::make_unique<Connection>(*this, std::move(transport), std::move(codec), std::move(dial.slot));
  executor.retire(dials_.take(dial));
  update(*connection.release());  // files it, which serves who waits
  // HTTP/1 where HTTP/2 was hoped for: the others need connections of their own.
  if (!waiters_.empty()) (void)dial_for_waiters();  // an error can only say that there is nothing, and there is one
  drop_unneeded();
  executor.run_ready();
}

void Pool::on_dial_failed(PendingDial& dial, const Error& why) {
  ClusterContext& cluster = context();
  const ClusterStats& stats = cluster.stats();
  cluster.add_stat(why.code == Code::connect_timeout ? stats.upstream_cx_connect_timeout
                                                     : stats.upstream_cx_connect_fail);
  if (why.code == Code::tls_failed) cluster.add_stat(stats.ssl_connection_error);
  cluster.report(target_.shared(), {.kind = Outcome::Kind::connect_failed});
  dial.slot.release();
  cluster.executor().retire(dials_.take(dial));
  Error error = why;
  error.side = Side::upstream;
  error.retry = Retry::safe;
  // Who has no other dial to hope for fails with this one's reason. Where connections are busy, they may still come
  // free: then only the one whose dial this was.
  const size_t waiting = waiting_;
  const size_t hopeful = dials_.count() * expected_room().streams;
  if (waiting > hopeful) fail_waiters(may_come_free() ? 1 : waiting - hopeful, error);
  cluster.executor().run_ready();
}

void Pool::fail_waiters(size_t count, const Error& why) {
  List<Waiter> failed;  // first all leave: a failure may make somebody acquire again
  for (; count > 0 && !waiters_.empty(); --count) failed.push_back(*pop_waiter());
  while (Waiter* w = failed.pop_front()) {
    context().add_stat(context().stats().upstream_rq_pending_failure_eject);
    w->on_pool_failure(why);
  }
}

void Pool::serve_waiters() {
  if (is_serving_) return;  // a stream that starts files its connection anew, which asks to serve again
  is_serving_ = true;
  while (!waiters_.empty() && !ready_.empty()) {
    Connection& connection = ready_.front();
    pop_waiter()->on_connection(connection);
  }
  is_serving_ = false;
}

// === filing ===

void Pool::update(Connection& connection) {
  using Filing = Connection::Filing;
  const Filing wanted = connection.has_room()        ? Filing::ready
                        : connection.is_going_away() ? Filing::draining
                                                     : Filing::busy;
  if (connection.filing != wanted) {
    OwningList<Connection>& list = wanted == Filing::ready ? ready_ : wanted == Filing::busy ? busy_ : draining_;
    // Whichever list it was on held it alone; ownership moves at once.
    std::unique_ptr<Connection> moved = list.take(connection);
    moved->filing = wanted;
    if (wanted == Filing::ready) {
      list.push_front(std::move(moved));
    } else {
      list.push_back(std::move(moved));
    }
  }
  if (wanted != Filing::ready) return;
  dial_ahead(connection);
  serve_waiters();
  if (is_draining_ && !is_serving_ && waiters_.empty()) connection.drain();
}

void Pool::remove(Connection& connection) {
  context().executor().retire(draining_.take(connection));
  if (is_closing_ || waiters_.empty()) return;
  // Its going may have made room under the breaker for those who wait.
  if (const Expected<void> dialed = dial_for_waiters(); !dialed) fail_waiters(waiting_, dialed.error());
}

// === teardown ===

void Pool::drain() {
  is_draining_ = true;
  drop_unneeded();
}

void Pool::drop_unneeded() {
  if (!is_draining_ || !waiters_.empty()) return;
  while (!dials_.empty()) {
    PendingDial& dial = dials_.front();
    dial.cancel();
    context().executor().retire(dials_.take(dial));
  }
  // drain() moves or removes each connection, so the lists change under the loop.
  while (!ready_.empty()) ready_.front().drain();
  while (!busy_.empty()) busy_.front().drain();
}

void Pool::close() {
  is_closing_ = true;
  dials_.clear();
  fail_waiters(waiting_, {Code::draining, Side::local, Retry::safe, 0, "the endpoint is gone"});
  for (OwningList<Connection>* list : {&ready_, &busy_, &draining_}) {
    while (!list->empty()) list->front().abort();
  }
  is_closing_ = false;
}

}  // namespace pillion::upstream
