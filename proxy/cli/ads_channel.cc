#include "proxy/cli/ads_channel.h"

#include <vector>

#include "proxy/net/tls.h"
#include "proxy/rpc/direct_channel.h"

namespace pillion::cli {
namespace {

// The certificates of a bootstrap's ADS cluster are in the bootstrap: they cannot come over the stream they secure.
class FixedTls final : public rpc::ClientTlsSource {
 public:
  explicit FixedTls(std::shared_ptr<const net::ClientTlsContext> context) : context_(std::move(context)) {}
  std::shared_ptr<const net::ClientTlsContext> context() override { return context_; }
  bool accept_peer(const net::Transport&) override { return true; }  // the context has judged it

 private:
  std::shared_ptr<const net::ClientTlsContext> context_;
};

class RotatingChannel final : public rpc::Channel {
 public:
  std::unique_ptr<rpc::GrpcCall> call(std::string_view path, const rpc::Metadata& metadata,
                                      rpc::GrpcCallEvents& events) override {
    rpc::Channel& chosen = *channels[next];
    next = (next + 1) % channels.size();
    return chosen.call(path, metadata, events);
  }

  std::unique_ptr<FixedTls> tls;
  std::vector<std::unique_ptr<rpc::Channel>> channels;  // one an endpoint; not empty
  size_t next = 0;
};

std::expected<std::unique_ptr<FixedTls>, std::string> make_tls(const config::Cluster& cluster) {
  if (cluster.tls == nullptr) return nullptr;
  net::TlsSecrets secrets;
  for (const config::SecretRef& ref : cluster.tls->certificates) {
    if (ref.material == nullptr) return std::unexpected("its certificate must be given in the bootstrap");
    secrets.certificates.push_back(ref.material);
  }
  secrets.trust = cluster.tls->validation.trust.material;
  auto context = net::make_client_context(*cluster.tls, secrets);
  if (!context) return std::unexpected(context.error());
  return std::make_unique<FixedTls>(std::move(*context));
}

std::string target_of(const config::Endpoint& endpoint) {
  if (endpoint.hostname.empty() || !endpoint.address.is_none()) return endpoint.address.to_string();
  return *endpoint.hostname + ":" + std::to_string(endpoint.port);
}

}  // namespace

std::expected<std::unique_ptr<rpc::Channel>, std::string> make_ads_channel(
    event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver,
    std::shared_ptr<const config::Cluster> cluster) {
  auto channel = std::make_unique<RotatingChannel>();
  auto tls = make_tls(*cluster);
  if (!tls) return std::unexpected("cluster " + cluster->name + ": " + tls.error());
  channel->tls = std::move(*tls);
  if (cluster->inline_endpoints != nullptr) {
    for (const config::LocalityEndpoints& locality : cluster->inline_endpoints->localities) {
      for (const config::Endpoint& endpoint : locality.endpoints) {
        rpc::DirectChannelOptions options;
        options.target = target_of(endpoint);
        options.tls = channel->tls.get();
        options.connect_timeout = cluster->connect_timeout;
        channel->channels.push_back(rpc::make_direct_channel(executor, dialer, resolver, options));
      }
    }
  }
  if (channel->channels.empty()) return std::unexpected("cluster " + cluster->name + " has no endpoints");
  return channel;
}

}  // namespace pillion::cli
