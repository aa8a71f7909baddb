// Configuration that comes over ADS, published to the server as it becomes whole. Two ways in: the ADS cluster of a
// bootstrap file, or a control plane's address and a join token, where the proxy first gets its certificate and knows
// itself by it. Secrets in files that the configuration names are watched here as well.
//
//   token ──► identity ──► ADS stream ──► snapshots ──► server        (--control-plane)
//                          ADS stream ──► snapshots ──► server        (-c, dynamic_resources.ads_config)
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "proxy/event/loop.h"
#include "proxy/net/resolver.h"
#include "proxy/worker/server.h"
#include "xds/client/client.h"
#include "xds/translate/bootstrap.h"

namespace pillion::cli {

struct MeshOptions {
  std::string control_plane;  // HOST:PORT; empty: the token's
  std::string join_token;     // a secret
  xds::client::Mode mode = xds::client::Mode::delta;
  std::string node_id;
  std::string node_cluster;
  std::string pod_ip;  // may be empty
};

class DynamicConfig {
 public:
  virtual ~DynamicConfig() = default;
  virtual const xds::client::ResourceStore& store() const = 0;
  virtual const xds::client::AdsClientStats& stats() const = 0;
  virtual bool is_complete() const = 0;         // the first whole configuration, and the certificate, are there
  virtual std::string waiting_for() const = 0;  // in words, while it is not
};

// `resolver` and `server` outlive what is made. The bootstrap must have `ads`.
std::expected<std::unique_ptr<DynamicConfig>, std::string> make_bootstrap_ads(worker::Server& server,
                                                                              net::Resolver& resolver,
                                                                              const xds::Bootstrap& bootstrap,
                                                                              xds::TranslationOptions translation);
std::expected<std::unique_ptr<DynamicConfig>, std::string> make_mesh_ads(worker::Server& server,
                                                                         net::Resolver& resolver,
                                                                         const MeshOptions& options,
                                                                         xds::TranslationOptions translation);

}  // namespace pillion::cli
