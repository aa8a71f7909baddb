#include "proxy/upstream/pool.h"

#include "proxy/base/log.h"

namespace pillion::upstream {
namespace {

constexpr uint32_t kStreamsExpectedH2 = 100;  // what a dial to an HTTP/2 endpoint is counted as before its SETTINGS

http::CodecLimits limits_of(const config::Cluster& c) {
  http::CodecLimits limits;
  limits.head_bytes_max = c.response_head_bytes_max;
  limits.headers_max = c.response_headers_max;
  limits.concurrent_streams_max = c.h2_concurrent_streams_max;
  limits.stream_window_bytes = c.h2_stream_window_bytes;
  limits.connection_window_bytes = c.h2_connection_window_bytes;
  return limits;
}

}  // namespace

// A connection that is being made. Its breaker slot passes to the connection.
class PendingDial final : public event::Retirable, public ListNode<>, public net::DialEvents {
 public:
  PendingDial(Pool& pool, BreakerSlot slot) : slot(std::move(slot)), pool_(pool) {}

  void start(net::Dialer& dialer, const net::DialOptions& options) { dial_ = dialer.dial(options, *this); }
  void on_dialed(net::TransportPtr transport) override { pool_.on_dialed(*this, std::move(transport)); }
  void on_dial_failed(const Error& why) override { pool_.on_dial_failed(*this, why); }
  void cancel() { dial_.reset(); }

  BreakerSlot slot;

 private:
  Pool& pool_;
  std::unique_ptr<net::Dial> dial_;
};

Pool::Pool(Endpoint& endpoint, config::Cluster::Protocol protocol) : endpoint_(endpoint), protocol_(protocol) {}

Pool::~Pool() {
  while (Waiter* w = waiters_.pop_front()) w->leave();
}

bool Pool::is_empty() const {
  return dials_.empty() && ready_.empty() && busy_.empty() && draining_.empty() && waiters_.empty();
}

// === acquiring ===

Expected<Connection*> Pool::acquire(Waiter& waiter, uint32_t priority) {
  if (!ready_.empty()) return &ready_.front();
  Cluster& cluster = endpoint_.cluster();
  const ClusterStats& stats = cluster.stats();
  waiter.pending_slot = BreakerSlot::take(cluster.counts(priority).pending, cluster.limits(priority).pending_max);
  if (!waiter.pending_slot) {
    cluster.add_stat(stats.upstream_rq_pending_overflow);
    return std::unexpected(
        Error{Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_pending_requests"});
  }
  cluster.add_stat(stats.upstream_rq_pending_total);
  waiters_.push_back(waiter);
  if (Expected<void> dialed = dial_for_waiters(priority); !dialed) {
    waiter.leave();
    return std::unexpected(dialed.error());
  }
  return nullptr;
}

// One connection for each waiter that none of the dials under way will have room for.
Expected<void> Pool::dial_for_waiters(uint32_t priority) {
  const bool h2 = protocol_ == config::Cluster::Protocol::http2 ||
                  (protocol_ == config::Cluster::Protocol::automatic && learned_ == http::Version::http2);
  const size_t per_dial = h2 ? kStreamsExpectedH2 : 1;
  Cluster& cluster = endpoint_.cluster();
  while (waiters_.count() > dials_.count() * per_dial) {
    BreakerSlot slot =
        BreakerSlot::take(cluster.counts(priority).connections, cluster.limits(priority).connections_max);
    if (!slot) {
      cluster.add_stat(cluster.stats().upstream_cx_overflow);
      // Somebody's connection will come free, or a dial will end: then the waiter is served. Without either it fails.
      if (!dials_.empty() || !busy_.empty()) return {};
      return std::unexpected(Error{Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_connections"});
    }
    Expected<net::DialOptions> options = endpoint_.dial_options();
    if (!options) return std::unexpected(options.error());
    PendingDial& dial = dials_.push_back(std::make_unique<PendingDial>(*this, std::move(slot)));
    endpoint_.shared().connect_total.fetch_add(1, std::memory_order_relaxed);
    dial.start(cluster.services().dialer, *options);
  }
  return {};
}

void Pool::on_dialed(PendingDial& dial, net::TransportPtr transport) {
  Cluster& cluster = endpoint_.cluster();
  event::Executor& executor = cluster.services().executor;
  bool h2 = protocol_ == config::Cluster::Protocol::http2;
  if (protocol_ == config::Cluster::Protocol::automatic) {
    const net::TlsInfo* tls = transport->tls();
    h2 = tls != nullptr && tls->alpn == "h2";
    learned_ = h2 ? http::Version::http2 : http::Version::http11;
  }
  const http::CodecLimits limits = limits_of(cluster.config());
  std::unique_ptr<http::ClientCodec> codec =
      h2 ? http::make_h2_client(executor.chunks, limits) : http::make_h1_client(executor.chunks, limits);
  auto connection = std::make_unique<Connection>(*this, std::move(transport), std::move(codec), std::move(dial.slot));
  executor.retire(dials_.take(dial));
  ready_.push_back(std::move(connection));
  serve_waiters();
  executor.run_ready();
}

void Pool::on_dial_failed(PendingDial& dial, const Error& why) {
  Cluster& cluster = endpoint_.cluster();
  const ClusterStats& stats = cluster.stats();
  cluster.add_stat(why.code == Code::connect_timeout ? stats.upstream_cx_connect_timeout
                                                     : stats.upstream_cx_connect_fail);
  endpoint_.shared().connect_fail_total.fetch_add(1, std::memory_order_relaxed);
  cluster.report(endpoint_, {.kind = Outcome::Kind::connect_failed});
  cluster.services().executor.retire(dials_.take(dial));
  dial.slot.release();
  Error error = why;
  error.side = Side::upstream;
  error.retry = Retry::safe;
  // The waiters without another dial to hope for fail with this one's reason, the oldest first.
  List<Waiter> failed;
  while (waiters_.count() > dials_.count()) failed.push_back(*waiters_.pop_front());
  while (Waiter* w = failed.pop_front()) {
    w->leave();
    cluster.add_stat(stats.upstream_rq_pending_failure_eject);
    w->on_pool_failure(error);
  }
  cluster.services().executor.run_ready();
}

void Pool::serve_waiters() {
  if (is_serving_) return;  // a stream that starts files its connection anew, which asks to serve again
  is_serving_ = true;
  while (!waiters_.empty() && !ready_.empty()) {
    Waiter* w = waiters_.pop_front();
    w->leave();
    w->on_connection(ready_.front());
  }
  is_serving_ = false;
}

// === filing ===

void Pool::update(Connection& connection) {
  OwningList<Connection>& wanted = connection.has_room() ? ready_ : connection.is_going_away() ? draining_ : busy_;
  static_cast<ListNode<>&>(connection).unlink();  // whichever list it was on held it alone; ownership moves at once
  wanted.push_back(std::unique_ptr<Connection>(&connection));
  if (&wanted == &ready_) serve_waiters();
}

void Pool::remove(Connection& connection) {
  static_cast<ListNode<>&>(connection).unlink();
  event::Executor& executor = endpoint_.cluster().services().executor;
  executor.retire(std::unique_ptr<Connection>(&connection));
  // Its going may have made room under the breaker for those who wait.
  if (!waiters_.empty() && dials_.empty() && !is_draining_) {
    if (Expected<void> dialed = dial_for_waiters(0); !dialed && busy_.empty()) {
      while (Waiter* w = waiters_.pop_front()) {
        w->leave();
        w->on_pool_failure(dialed.error());
      }
    }
  }
}

void Pool::drain() {
  is_draining_ = true;
  // drain() moves or removes each connection, so the lists change under the loop.
  List<Connection> all;
  for (OwningList<Connection>* list : {&ready_, &busy_}) {
    for (Connection& c : *list) {
      static_cast<ListNode<>&>(c).unlink();
      all.push_back(c);
    }
  }
  while (Connection* c = all.pop_front()) {
    draining_.push_back(std::unique_ptr<Connection>(c));
    c->drain();
  }
}

}  // namespace pillion::upstream
