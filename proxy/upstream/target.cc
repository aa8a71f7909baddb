#include "proxy/upstream/target.h"

#include <algorithm>

namespace pillion::upstream {

namespace {

// The first source address of the endpoint's family; the cluster's own where none is, which fails and says so.
const Address& source_of(const config::Cluster& cluster, const Address& remote) {
  if (cluster.bind.is_none() || cluster.bind.family() == remote.family()) return cluster.bind;
  for (const Address& extra : cluster.extra_binds) {
    if (extra.family() == remote.family()) return extra;
  }
  return cluster.bind;
}

}  // namespace

DialTarget::DialTarget(ClusterContext& context, std::shared_ptr<const config::Endpoint> config,
                       std::shared_ptr<SharedEndpoint> shared)
    : context_(context), config_(std::move(config)), shared_(std::move(shared)), tls_(match_socket(*config_)) {}

const config::TlsContext* DialTarget::match_socket(const config::Endpoint& config) const {
  const auto& metadata = *config.transport_socket_match;
  for (const config::TransportSocketMatch& m : context_.config->socket_matches) {
    const bool all = std::all_of(m.match.begin(), m.match.end(), [&](const auto& wanted) {
      const auto found = metadata.find(wanted.first);
      return found != metadata.end() && found->second == wanted.second;
    });
    if (all) return m.tls.get();
  }
  return context_.config->tls.get();
}

bool DialTarget::set_config(std::shared_ptr<const config::Endpoint> config) {
  if (match_socket(*config) != tls_) return false;
  config_ = std::move(config);
  return true;
}

Expected<net::DialOptions> DialTarget::dial_options(const ServerName& server_name) const {
  const config::Cluster& cluster = *context_.config;
  net::DialOptions options;
  options.remote = address();
  options.bind = source_of(cluster, options.remote);
  options.connect_timeout = cluster.connect_timeout;
  options.tcp_keepalive = cluster.tcp_keepalive;
  if (tls_ == nullptr) return options;
  Expected<std::shared_ptr<const net::ClientTlsContext>> tls = context_.services.tls.client(*tls_);
  if (!tls) return std::unexpected(tls.error());
  options.tls = std::move(*tls);
  if (cluster.auto_sni) options.sni = server_name;
  if (cluster.auto_san_validation) options.verify_host = server_name;
  return options;
}

}  // namespace pillion::upstream
