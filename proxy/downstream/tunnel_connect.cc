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

void TunnelConnect::start() {
  upstream::Cluster* cluster = services_.clusters.find(cluster_name_);
  if (cluster == nullptr) {
    services_.executor.ready(*this);
    return;
  }
  connector_.emplace(*cluster, static_cast<upstream::TcpConnectEvents&>(*this));
  connector_->start(pick_, proxy_.connect_attempts_max);
}

void TunnelConnect::step() {
  on_connect_failed({Code::no_cluster, Side::local, Retry::never, 0, "looking for the tunnel's cluster"});
}

void TunnelConnect::on_connected(upstream::TcpConnection connection) {
  told_ = true;
  connection_ = std::move(connection);
  events_->on_connected();
}

void TunnelConnect::on_connect_failed(const Error& why) {
  told_ = true;
  failed_ = why.code == Code::connect_failed || why.code == Code::connect_timeout || why.code == Code::tls_failed;
  events_->on_connect_failed(why);
}

void TunnelConnect::close(bool by_peer, bool reset) {
  event::Steppable::unlink();
  if (!told_) connector_.reset();
  if (connection_.transport == nullptr || closed_) return;
  closed_ = true;
  closed_by_peer_ = by_peer;
  reset ? connection_.transport->reset() : connection_.transport->close();
}

void TunnelConnect::count_bytes(uint64_t received, uint64_t sent) {
  if (!connection_) return;
  const upstream::ClusterContext& cluster = connection_.context();
  cluster.add_stat(cluster.stats().upstream_cx_rx_bytes_total, received);
  cluster.add_stat(cluster.stats().upstream_cx_tx_bytes_total, sent);
}

}  // namespace pillion::downstream
