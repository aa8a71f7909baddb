#include "xds/translate/bootstrap.h"

#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/config_source.pb.h>
#include <envoy/config/core/v3/grpc_service.pb.h>

#include <algorithm>

#include "xds/api/any.h"
#include "xds/api/yaml.h"
#include "xds/translate/check_message.h"
#include "xds/translate/context.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // admin.access_log_path is still written

namespace pillion::xds {

namespace bootstrap = envoy::config::bootstrap::v3;
namespace core = envoy::config::core::v3;

namespace {

using Names = std::set<std::string, std::less<>>;
constexpr const char* kRe2 = "envoy.extensions.regex_engines.v3.GoogleRE2";

// === node and admin ===

void set_node(const bootstrap::Bootstrap& in, const BootstrapOverrides& overrides, Bootstrap& out) {
  core::Node node = in.node();
  if (!overrides.service_node.empty()) node.set_id(overrides.service_node);
  if (!overrides.service_cluster.empty()) node.set_cluster(overrides.service_cluster);
  out.node_id = node.id();
  out.node_cluster = node.cluster();
  out.locality = {node.locality().region(), node.locality().zone(), node.locality().sub_zone()};
  google::protobuf::Any packed;
  pack_deterministic(node, "", packed);
  out.node = std::move(*packed.mutable_value());
}

void set_admin(Context& cx, const bootstrap::Bootstrap& in, Bootstrap& out) {
  if (!in.has_admin()) return;
  const auto at = cx.field("admin");
  AdminConfig& admin = out.admin.emplace();
  if (in.admin().has_address()) {
    const auto in_address = cx.field("address");
    admin.address = to_address(cx, in.admin().address());
  }
  admin.access_logs = to_access_logs(cx, "access_log", in.admin().access_log());
  if (in.admin().access_log_path().empty()) return;
  config::AccessLog& log = admin.access_logs.emplace_back();
  log.path = in.admin().access_log_path();
  log.text = to_format(cx, config::default_access_log_format());
}

// === static resources ===

// A part that is shared by name; the second of a name is an error.
template <class T>
void add(Context& cx, const std::string& name, std::shared_ptr<T> value, config::Table<T>& table) {
  if (!table.insert(name, std::move(value))) cx.fail_at("name", "the name " + name + " is given twice");
}

void set_static(Context& cx, const bootstrap::Bootstrap::StaticResources& in, config::Snapshot& out) {
  const auto at = cx.field("static_resources");
  {
    const auto in_list = cx.field("clusters");
    for (int i = 0; i < in.clusters_size(); ++i) {
      const auto in_item = cx.index(static_cast<size_t>(i));
      add<config::Cluster>(cx, in.clusters(i).name(), to_cluster(cx, in.clusters(i)), out.clusters);
    }
  }
  {
    const auto in_list = cx.field("secrets");
    for (int i = 0; i < in.secrets_size(); ++i) {
      const auto in_item = cx.index(static_cast<size_t>(i));
      add<TlsMaterial>(cx, in.secrets(i).name(), to_secret(cx, in.secrets(i)), out.secrets);
    }
  }
  const auto in_list = cx.field("listeners");
  for (int i = 0; i < in.listeners_size(); ++i) {
    const auto in_item = cx.index(static_cast<size_t>(i));
    const auto listener = to_listener(cx, in.listeners(i));
    add<config::Listener>(cx, listener->name, listener, out.listeners);
  }
}

// === dynamic resources ===

void set_grpc_service(Context& cx, const core::ApiConfigSource& in, const Names& clusters, AdsConfig& out) {
  const auto at = cx.field("grpc_services");
  if (in.grpc_services_size() != 1) return cx.fail("must have exactly one item");
  const auto in_item = cx.index(0);
  const core::GrpcService& service = in.grpc_services(0);
  out.cluster = service.envoy_grpc().cluster_name();
  out.authority = service.envoy_grpc().authority();
  for (const auto& header : service.initial_metadata()) out.initial_metadata.emplace_back(header.key(), header.value());
  if (clusters.contains(out.cluster)) return;
  const auto in_grpc = cx.field("envoy_grpc");
  cx.fail_at("cluster_name", "there is no static cluster " + out.cluster);
}

void set_ads(Context& cx, const core::ApiConfigSource& in, const Names& clusters, AdsConfig& out) {
  const auto at = cx.field("ads_config");
  switch (in.api_type()) {
    case core::ApiConfigSource::GRPC: break;
    case core::ApiConfigSource::DELTA_GRPC: out.delta = true; break;
    default: cx.fail_at("api_type", "must be GRPC or DELTA_GRPC");
  }
  if (in.transport_api_version() != core::ApiVersion::V3) cx.fail_at("transport_api_version", "must be V3");
  set_grpc_service(cx, in, clusters, out);
}

void set_dynamic(Context& cx, const bootstrap::Bootstrap::DynamicResources& in, const Names& clusters, Bootstrap& out) {
  const auto at = cx.field("dynamic_resources");
  if (in.has_ads_config()) set_ads(cx, in.ads_config(), clusters, out.ads.emplace());
  const bool any = in.has_lds_config() || in.has_cds_config();
  if (any && !out.ads) return cx.fail_at("ads_config", "must be set where lds_config or cds_config is");
  if (in.has_lds_config()) {
    const auto in_source = cx.field("lds_config");
    expect_ads(cx, in.lds_config());
    out.ads->lds = true;
    PILLION_SET_DURATION(cx, in.lds_config(), initial_fetch_timeout, out.ads->lds_initial_fetch_timeout);
  }
  if (in.has_cds_config()) {
    const auto in_source = cx.field("cds_config");
    expect_ads(cx, in.cds_config());
    out.ads->cds = true;
    PILLION_SET_DURATION(cx, in.cds_config(), initial_fetch_timeout, out.ads->cds_initial_fetch_timeout);
  }
}

// === the rest ===

// Keys about another program's insides are in the bootstraps of whole meshes.
bool is_foreign_key(std::string_view key) {
  return key.starts_with("envoy.") || key.starts_with("re2.") || key.starts_with("overload.");
}

void set_runtime(Context& cx, const bootstrap::LayeredRuntime& in, Bootstrap& out) {
  const auto at = cx.field("layered_runtime");
  const auto in_list = cx.field("layers");
  for (int i = 0; i < in.layers_size(); ++i) {
    const auto in_item = cx.index(static_cast<size_t>(i));
    const auto in_layer = cx.field("static_layer");
    for (const auto& [key, value] : in.layers(i).static_layer().fields()) {
      const auto in_key = cx.key(key);
      if (is_foreign_key(key)) {
        out.warnings.push_back("the runtime key " + key + " changes nothing");
      } else {
        cx.fail("is not supported by Pillion");
      }
    }
  }
}

void set_rest(Context& cx, const bootstrap::Bootstrap& in, Bootstrap& out) {
  PILLION_SET_DURATION(cx, in, stats_flush_interval, out.stats_flush_interval);
  if (in.has_stats_config()) {
    out.warnings.push_back("stats_config changes nothing: statistics have Envoy's names and default tags");
  }
  set_runtime(cx, in.layered_runtime(), out);
  if (!in.has_default_regex_engine()) return;
  const std::string type(type_name(in.default_regex_engine().typed_config().type_url()));
  if (type != kRe2) cx.unsupported("default_regex_engine");
}

Bootstrap translate(Context& cx, const bootstrap::Bootstrap& in, const Names& clusters,
                    const BootstrapOverrides& overrides) {
  Bootstrap out;
  set_node(in, overrides, out);
  set_admin(cx, in, out);
  auto snapshot = std::make_shared<config::Snapshot>();
  set_static(cx, in.static_resources(), *snapshot);
  out.static_resources = std::move(snapshot);
  set_dynamic(cx, in.dynamic_resources(), clusters, out);
  set_rest(cx, in, out);
  out.message = in.SerializeAsString();
  return out;
}

std::expected<Bootstrap, std::vector<ConfigError>> finish(const bootstrap::Bootstrap& message, const LineIndex& lines,
                                                          const BootstrapOverrides& overrides,
                                                          const TranslationOptions& options) {
  Names clusters;
  for (const auto& cluster : message.static_resources().clusters()) clusters.insert(cluster.name());
  TranslationOptions own = options;
  own.clusters = &clusters;
  Context cx(own, "", kMaxBootstrapErrors);
  std::optional<Bootstrap> out;
  if (check_message(cx, message)) out = translate(cx, message, clusters, overrides);
  if (!cx.failed()) return std::move(*out);
  std::vector<ConfigError> errors = cx.take_errors();
  for (ConfigError& error : errors) error = lines.place(std::move(error));
  return std::unexpected(std::move(errors));
}

}  // namespace

std::expected<Bootstrap, std::vector<ConfigError>> load_bootstrap(const std::string& path,
                                                                  const BootstrapOverrides& overrides,
                                                                  const TranslationOptions& options) {
  bootstrap::Bootstrap message;
  const auto lines = load_file(path, message);
  if (!lines) return std::unexpected(lines.error());
  return finish(message, *lines, overrides, options);
}

std::expected<Bootstrap, std::vector<ConfigError>> parse_bootstrap(std::string_view text, std::string_view name,
                                                                   const BootstrapOverrides& overrides,
                                                                   const TranslationOptions& options) {
  bootstrap::Bootstrap message;
  const auto lines = load_text(text, name, message);
  if (!lines) return std::unexpected(lines.error());
  return finish(message, *lines, overrides, options);
}

}  // namespace pillion::xds
