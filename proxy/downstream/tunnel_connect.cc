#include "proxy/downstream/tunnel_connect.h"

#include "proxy/upstream/cluster.h"

namespace pillion::downstream {
namespace {

const std::string& choose_cluster(const config::TcpProxy& proxy, Random& random) {
  static const std::string kNone;
  if (proxy.clusters.empty()) return kNone;
  if (proxy.clusters.size() == 1) return proxy.clusters.front().cluster;
  uint64_t drawn = random.below(proxy.total_weight);
  for (const config::WeightedCluster& one : proxy.clusters) {
    if (drawn < one.weight) return one.cluster;
    drawn -= one.weight;
  }
  return proxy.clusters.back().cluster;
}

// FNV-1a: any hash does, as long as all workers have the same.
uint64_t hash_of(const Address& address) {
  uint64_t hash = 0xcbf29ce484222325;
  const size_t length = address.family() == AF_INET6 ? 16 : 4;
  for (size_t i = 0; i < length; ++i) hash = (hash ^ address.bytes()[i]) * 0x100000001b3;
  return hash;
}

}  // namespace

TunnelConnect::TunnelConnect(Services& services, const config::TcpProxy& proxy, const ConnectionInfo& info,
                             TunnelConnectEvents& events)
    : services_(services), proxy_(proxy), events_(&events) {
  if (info.restored_destination) pick_.original_destination = info.local;
  for (const config::HashPolicy& policy : proxy.hash_policies) {
    if (policy.kind == config::HashPolicy::Kind::source_ip) pick_.hash = hash_of(info.remote);
  }
  cluster_name_ = choose_cluster(proxy, services.executor.random);
}

TunnelConnect::~TunnelConnect() {
  close(false);
  dial_.reset();
}

void TunnelConnect::start() {
  try_next();
}

// === connecting ===

Expected<net::DialOptions> TunnelConnect::pick() {
  upstream::Cluster* cluster = services_.clusters.find(cluster_name_);
  endpoint_.set(nullptr);
  if (cluster == nullptr) {
    return std::unexpected(Error{Code::no_cluster, Side::local, Retry::never, 0, "looking for the tunnel's cluster"});
  }
  shared_ = &cluster->shared();
  slot_.release();
  slot_ = upstream::BreakerSlot::take(cluster->counts(0).connections, cluster->limits(0).connections_max);
  if (!slot_) {
    cluster->add_stat(cluster->stats().upstream_cx_overflow);
    return std::unexpected(Error{Code::overflow, Side::local, Retry::never, 0, "max_connections"});
  }
  Expected<upstream::Endpoint*> picked = cluster->pick(pick_);
  if (!picked) {
    cluster->add_stat(cluster->stats().upstream_cx_none_healthy);
    return std::unexpected(picked.error());
  }
  endpoint_.set(*picked);
  endpoint_address_ = (*picked)->address();
  cluster->add_stat(cluster->stats().upstream_cx_total);
  return (*picked)->dial_options();
}

void TunnelConnect::try_next() {
  attempt_started_ = services_.executor.now();
  ++attempts_total_;
  Expected<net::DialOptions> options = pick();
  if (!options) {
    failure_ = options.error();
    services_.executor.ready(*this);
    return;
  }
  dialing_ = true;
  dial_ = endpoint_->cluster().services().dialer.dial(*options, *this);
}

void TunnelConnect::step() {
  attempt_failed(failure_);
}

void TunnelConnect::on_dialed(net::TransportPtr transport) {
  dialing_ = false;
  transport_ = std::move(transport);
  note_attempt({});
  services_.executor.stats.add(shared_->stats().upstream_cx_active);
  if (endpoint_) {
    endpoint_->shared().active_connections.fetch_add(1, std::memory_order_relaxed);
    endpoint_->shared().connect_total.fetch_add(1, std::memory_order_relaxed);
    endpoint_->cluster().report(*endpoint_.get(), {.kind = upstream::Outcome::Kind::response, .status = 200});
  }
  events_->on_connected();
}

void TunnelConnect::on_dial_failed(const Error& why) {
  dialing_ = false;
  const upstream::ClusterStats& stats = shared_->stats();
  services_.executor.stats.add(why.code == Code::connect_timeout ? stats.upstream_cx_connect_timeout
                                                                 : stats.upstream_cx_connect_fail);
  if (endpoint_) {
    endpoint_->shared().connect_fail_total.fetch_add(1, std::memory_order_relaxed);
    endpoint_->cluster().report(*endpoint_.get(), {.kind = upstream::Outcome::Kind::connect_failed});
  }
  failure_ = why;
  services_.executor.ready(*this);  // the dial is on the stack, and the next one takes its place
}

// Only a failed connection is tried again: without a cluster or an endpoint the next try would end alike.
void TunnelConnect::attempt_failed(const Error& why) {
  note_attempt(why);
  slot_.release();
  if (why.retry == Retry::safe && attempts_total_ < proxy_.connect_attempts_max) {
    try_next();
    return;
  }
  events_->on_connect_failed(why);
}

void TunnelConnect::note_attempt(const Error& why) {
  if (attempts_.size() >= filter::ExchangeRecord::kAttemptsKept) return;
  attempts_.push_back(
      {.endpoint = endpoint_address_, .error = why, .took = services_.executor.now() - attempt_started_});
}

// === the end ===

void TunnelConnect::close(bool reset) {
  event::Steppable::unlink();
  slot_.release();
  if (dialing_) dial_.reset();
  if (transport_ == nullptr || closed_) return;
  closed_ = true;
  reset ? transport_->reset() : transport_->close();
  services_.executor.stats.sub(shared_->stats().upstream_cx_active);
  services_.executor.stats.add(shared_->stats().upstream_cx_destroy);
  if (endpoint_) endpoint_->shared().active_connections.fetch_sub(1, std::memory_order_relaxed);
}

void TunnelConnect::count_bytes(uint64_t received, uint64_t sent) {
  if (shared_ == nullptr) return;
  services_.executor.stats.add(shared_->stats().upstream_cx_rx_bytes_total, received);
  services_.executor.stats.add(shared_->stats().upstream_cx_tx_bytes_total, sent);
}

}  // namespace pillion::downstream
