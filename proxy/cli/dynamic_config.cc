#include "proxy/cli/dynamic_config.h"

#include "certs/identity_client.h"
#include "certs/store.h"
#include "proxy/base/log.h"
#include "proxy/cli/ads_channel.h"
#include "proxy/net/tcp_dialer.h"
#include "proxy/rpc/direct_channel.h"
#include "xds/client/node.h"
#include "xds/client/secret_files.h"
#include "xds/control/translate.h"

namespace pillion::cli {
namespace {

using xds::client::AdsClient;
using xds::client::AdsClientOptions;
using xds::client::ResourceStore;

// Secrets of files go into the store, and from there into snapshots.
class StoreSecretFiles final : public xds::client::SecretFileEvents {
 public:
  StoreSecretFiles(event::Loop& loop, ResourceStore& store, std::optional<AdsClient>& client)
      : store_(store), client_(client), files_(loop, *this) {}
  void watch(const xds::client::FileWishes& wishes) { files_.watch(wishes); }

 private:
  void on_file_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material) override {
    store_.set_secret(key, std::move(material));
    client_->refresh();
  }
  void on_file_secret_gone(const std::string& key) override {
    store_.remove_secret(key);
    client_->refresh();
  }

  ResourceStore& store_;
  std::optional<AdsClient>& client_;
  xds::client::SecretFiles files_;
};

class BootstrapAds final : public DynamicConfig, public xds::client::AdsClientEvents {
 public:
  BootstrapAds(worker::Server& server, const xds::Bootstrap& bootstrap, xds::TranslationOptions translation)
      : server_(server), dialer_(server.main_loop()), store_(bootstrap.static_resources, translation) {}

  std::expected<void, std::string> start(net::Resolver& resolver, const xds::Bootstrap& bootstrap) {
    const auto& clusters = bootstrap.static_resources->clusters;
    const auto cluster = clusters.find(bootstrap.ads->cluster);
    if (cluster == clusters.end()) {
      return std::unexpected("the ADS cluster \"" + bootstrap.ads->cluster + "\" is not a static cluster");
    }
    auto channel = make_ads_channel(server_.main_loop().executor(), dialer_, resolver, cluster->second);
    if (!channel) return std::unexpected(channel.error());
    channel_ = std::move(*channel);
    AdsClientOptions options;
    options.mode = bootstrap.ads->delta ? xds::client::Mode::delta : xds::client::Mode::sotw;
    options.node = xds::client::with_user_agent(bootstrap.node);
    options.subscribe_listeners = bootstrap.ads->lds;
    options.subscribe_clusters = bootstrap.ads->cds;
    client_.emplace(server_.main_loop().executor(), *channel_, store_, std::move(options), *this);
    client_->start();
    return {};
  }

  const ResourceStore& store() const override { return store_; }
  const xds::client::AdsClientStats& stats() const override { return client_->stats(); }
  bool is_complete() const override { return store_.is_complete(); }
  std::string waiting_for() const override {
    return is_complete() ? "" : "the configuration from the control plane: " + stats().last_error;
  }

 private:
  void on_snapshot(const config::SnapshotPtr& snapshot) override { server_.publish(snapshot); }
  void on_files_wanted(const xds::client::FileWishes& wishes) override { files_.watch(wishes); }

  worker::Server& server_;
  net::TcpDialer dialer_;
  ResourceStore store_;
  std::unique_ptr<rpc::Channel> channel_;
  std::optional<AdsClient> client_;
  StoreSecretFiles files_{server_.main_loop(), store_, client_};
};

class MeshAds final : public DynamicConfig,
                      public xds::client::AdsClientEvents,
                      public certs::StoreEvents,
                      public certs::IdentityEvents {
 public:
  MeshAds(worker::Server& server, const MeshOptions& options, xds::TranslationOptions translation)
      : server_(server),
        executor_(server.main_loop().executor()),
        dialer_(server.main_loop()),
        identity_store_(executor_.random),
        control_plane_tls_(identity_store_),
        store_(std::make_shared<config::Snapshot>(), translation),
        options_(options) {}

  std::expected<void, std::string> start(net::Resolver& resolver) {
    certs::IdentityOptions identity;
    identity.join_token = std::move(options_.join_token);
    identity.control_plane = options_.control_plane;
    auto made = certs::IdentityClient::make(executor_, dialer_, resolver, identity_store_, std::move(identity), *this);
    if (!made) return std::unexpected(made.error().reason);
    identity_ = std::move(*made);
    rpc::DirectChannelOptions channel;
    channel.target = identity_->control_plane();
    channel.tls = &control_plane_tls_;
    channel_ = rpc::make_direct_channel(executor_, dialer_, resolver, channel);
    AdsClientOptions client;
    client.mode = options_.mode;
    client.node = xds::client::make_node({options_.node_id, options_.node_cluster, options_.pod_ip});
    client_.emplace(executor_, *channel_, store_, std::move(client), *this);
    subscription_.emplace(identity_store_, *this);
    return {};
  }

  const ResourceStore& store() const override { return store_; }
  const xds::client::AdsClientStats& stats() const override { return client_->stats(); }
  bool is_complete() const override { return identity_store_.current() != nullptr && store_.is_complete(); }
  std::string waiting_for() const override {
    if (identity_store_.current() == nullptr) {
      return "the workload's certificate" + (last_failure_.empty() ? "" : ": " + last_failure_);
    }
    return is_complete() ? "" : "the configuration from the control plane: " + stats().last_error;
  }

 private:
  void on_snapshot(const config::SnapshotPtr& snapshot) override {
    // Before the listeners are there, an empty configuration would end the holding of early connections.
    if (store_.is_complete() || published_) {
      published_ = true;
      server_.publish(snapshot);
    }
  }
  void on_files_wanted(const xds::client::FileWishes& wishes) override { files_.watch(wishes); }
  void on_material(const certs::SharedMaterial& material) override {
    PILLION_LOG(info, "identity: {} until {}", material->spiffe_id, format_rfc3339_ms(material->not_after * 1'000'000));
    store_.set_secret(xds::control::kIdentitySecret, material);
    store_.set_secret(xds::control::kTrustSecret, material);
    if (started_) {
      client_->refresh();
    } else {
      started_ = true;
      client_->start();
    }
  }
  void on_identity_failed(std::string_view reason, bool final) override {
    last_failure_ = reason;
    PILLION_LOG(warning, "identity: {}{}", reason, final ? "; a new join token is needed" : "");
  }

  worker::Server& server_;
  event::Executor& executor_;
  net::TcpDialer dialer_;
  certs::Store identity_store_;
  certs::ControlPlaneTls control_plane_tls_;
  ResourceStore store_;
  MeshOptions options_;
  std::unique_ptr<certs::IdentityClient> identity_;
  std::unique_ptr<rpc::Channel> channel_;
  std::optional<AdsClient> client_;
  StoreSecretFiles files_{server_.main_loop(), store_, client_};
  std::optional<certs::Store::Subscription> subscription_;
  std::string last_failure_;
  bool started_ = false;
  bool published_ = false;
};

}  // namespace

std::expected<std::unique_ptr<DynamicConfig>, std::string> make_bootstrap_ads(worker::Server& server,
                                                                              net::Resolver& resolver,
                                                                              const xds::Bootstrap& bootstrap,
                                                                              xds::TranslationOptions translation) {
  auto made = std::make_unique<BootstrapAds>(server, bootstrap, translation);
  if (auto started = made->start(resolver, bootstrap); !started) return std::unexpected(started.error());
  return made;
}

std::expected<std::unique_ptr<DynamicConfig>, std::string> make_mesh_ads(worker::Server& server,
                                                                         net::Resolver& resolver,
                                                                         const MeshOptions& options,
                                                                         xds::TranslationOptions translation) {
  auto made = std::make_unique<MeshAds>(server, options, translation);
  if (auto started = made->start(resolver); !started) return std::unexpected(started.error());
  return made;
}

}  // namespace pillion::cli
