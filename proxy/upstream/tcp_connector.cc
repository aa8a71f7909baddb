#include "proxy/upstream/tcp_connector.h"

#include <algorithm>

#include "proxy/base/check.h"

namespace pillion::upstream {

// === the connection ===

TcpConnection& TcpConnection::operator=(TcpConnection&& o) noexcept {
  if (this != &o) {
    close(false);
    transport = std::move(o.transport);
    slot_ = std::move(o.slot_);
  }
  return *this;
}

void TcpConnection::close(bool by_peer) {
  if (slot_) {
    const ClusterContext& cluster = slot_.context();
    cluster.add_stat(cluster.stats().upstream_cx_destroy);
    cluster.add_stat(by_peer ? cluster.stats().upstream_cx_destroy_remote : cluster.stats().upstream_cx_destroy_local);
    slot_.release();
  }
  transport.reset();
}

// === the connector ===

TcpConnector::TcpConnector(Cluster& cluster, TcpConnectEvents& events)
    : cluster_(cluster), pin_(cluster.context()), events_(events), executor_(cluster.services().executor) {}

TcpConnector::~TcpConnector() = default;

void TcpConnector::start(const PickContext& context, uint32_t attempts_max) {
  context_ = context;
  attempts_max_ = std::max(attempts_max, 1u);
  if (cluster_.must_wait()) {
    cluster_.wait(*this);
  } else {
    executor_.ready(*this);
  }
}

void TcpConnector::step() {
  if (is_over_) return events_.on_connect_failed(last_);
  const ClusterContext& cluster = cluster_.context();
  if (attempts_ >= attempts_max_) {
    cluster.add_stat(cluster.stats().upstream_cx_connect_attempts_exceeded);
    return fail(last_);
  }
  BreakerSlot breaker = BreakerSlot::take(cluster.counts(context_.priority).connections,
                                          cluster.limits(context_.priority).connections_max);
  if (!breaker) {
    cluster.add_stat(cluster.stats().upstream_cx_overflow);
    return fail({Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_connections"});
  }
  const Expected<Endpoint*> picked = cluster_.pick(context_);
  if (!picked) return fail(picked.error());
  Endpoint& endpoint = **picked;
  address_ = endpoint.address();
  const Expected<net::DialOptions> options = endpoint.target().dial_options({});
  if (!options) return fail(options.error());
  ++attempts_;
  slot_ = ConnectionSlot(cluster_.context(), endpoint.shared_pointer(), std::move(breaker));
  spent_.reset();
  dial_ = cluster_.services().dialer.dial(*options, *this);
}

void TcpConnector::on_dialed(net::TransportPtr transport) {
  spent_ = std::move(dial_);
  is_over_ = true;
  const ClusterContext& cluster = cluster_.context();
  cluster.add_stat(cluster.stats().upstream_rq_total);
  slot_.endpoint().requests_total.fetch_add(1, std::memory_order_relaxed);
  cluster.report(slot_.endpoint(), {.kind = Outcome::Kind::connected_tcp});
  event::Executor& executor = executor_;
  events_.on_connected(TcpConnection(std::move(transport), std::move(slot_)));
  executor.run_ready();  // `this` may be gone
}

void TcpConnector::on_dial_failed(const Error& why) {
  spent_ = std::move(dial_);
  last_ = why;
  last_.side = Side::upstream;
  const ClusterContext& cluster = cluster_.context();
  cluster.add_stat(why.code == Code::connect_timeout ? cluster.stats().upstream_cx_connect_timeout
                                                     : cluster.stats().upstream_cx_connect_fail);
  cluster.report(slot_.endpoint(), {.kind = Outcome::Kind::connect_failed});
  slot_.release();
  executor_.ready(*this);
  executor_.run_ready();
}

void TcpConnector::fail(const Error& why) {
  is_over_ = true;
  last_ = why;
  events_.on_connect_failed(last_);
}

}  // namespace pillion::upstream
