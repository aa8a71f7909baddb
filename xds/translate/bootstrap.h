// The bootstrap file: what the proxy starts with. Envoy's format, YAML or JSON.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/config_error.h"
#include "proxy/base/time.h"
#include "proxy/config/snapshot.h"
#include "xds/translate/translate.h"

namespace pillion::xds {

// --service-node and --service-cluster; empty leaves what the file says.
struct BootstrapOverrides {
  std::string service_node;
  std::string service_cluster;
};

// dynamic_resources.ads_config
struct AdsConfig {
  bool delta = false;   // api_type DELTA_GRPC, else GRPC (state of the world)
  std::string cluster;  // envoy_grpc.cluster_name, a static cluster
  std::string authority;
  std::vector<std::pair<std::string, std::string>> initial_metadata;
  bool lds = false;  // lds_config: {ads: {}}
  bool cds = false;
  Duration lds_initial_fetch_timeout{15'000'000};  // zero waits for ever
  Duration cds_initial_fetch_timeout{15'000'000};
};

struct AdminConfig {
  Address address;
  std::vector<config::AccessLog> access_logs;
};

struct Bootstrap {
  std::optional<AdminConfig> admin;
  // Who this proxy is, overrides applied. `node` is the whole as a serialized envoy.config.core.v3.Node, to be sent
  // over xDS; user_agent_name and the versions are the sender's to fill.
  std::string node_id;
  std::string node_cluster;
  config::Locality locality;
  std::string node;
  config::SnapshotPtr static_resources;  // secrets included
  std::optional<AdsConfig> ads;
  Duration stats_flush_interval{5'000'000};
  std::string message;                // the whole, serialized, for /config_dump
  std::vector<std::string> warnings;  // sentences for the log: what was set and changes nothing here
};

inline constexpr size_t kMaxBootstrapErrors = 20;

// All errors found, at most kMaxBootstrapErrors and at least one, with file, line and field.
std::expected<Bootstrap, std::vector<ConfigError>> load_bootstrap(const std::string& path,
                                                                  const BootstrapOverrides& overrides = {},
                                                                  const TranslationOptions& options = {});
// The same from a text; `name` is what errors call it (JSON where it ends in ".json").
std::expected<Bootstrap, std::vector<ConfigError>> parse_bootstrap(std::string_view text, std::string_view name,
                                                                   const BootstrapOverrides& overrides = {},
                                                                   const TranslationOptions& options = {});

}  // namespace pillion::xds
