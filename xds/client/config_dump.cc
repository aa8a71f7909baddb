#include "xds/client/config_dump.h"

#include <envoy/admin/v3/config_dump.pb.h>
#include <envoy/admin/v3/config_dump_shared.pb.h>
#include <envoy/config/bootstrap/v3/bootstrap.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <google/protobuf/util/json_util.h>

#include "proxy/config/matcher.h"
#include "xds/api/any.h"
#include "xds/client/redact.h"

namespace pillion::xds::client {
namespace {

namespace admin = envoy::admin::v3;
using envoy::config::bootstrap::v3::Bootstrap;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using google::protobuf::Any;
using google::protobuf::Message;
using google::protobuf::Timestamp;

void set_time(Timestamp& out, int64_t wall_us) {
  out.set_seconds(wall_us / 1'000'000);
  out.set_nanos(static_cast<int32_t>(wall_us % 1'000'000) * 1000);
}

class Dump {
 public:
  Dump(const Bootstrap& bootstrap, int64_t started, const ResourceStore* store, const config::Regex* names)
      : bootstrap_(bootstrap), started_(started), store_(store), names_(names) {}

  admin::BootstrapConfigDump bootstrap() const {
    admin::BootstrapConfigDump out;
    *out.mutable_bootstrap() = bootstrap_;
    set_time(*out.mutable_last_updated(), started_);
    return out;
  }

  admin::ClustersConfigDump clusters() const {
    admin::ClustersConfigDump out;
    for (const auto& cluster : bootstrap_.static_resources().clusters()) {
      if (!wanted(cluster.name())) continue;
      auto& entry = *out.add_static_clusters();
      entry.mutable_cluster()->PackFrom(cluster);
      set_time(*entry.mutable_last_updated(), started_);
    }
    if (store_ != nullptr) out.set_version_info(store_->type_version(kClusterType));
    each(kClusterType, [&](const std::string&, const ResourceState& state) {
      auto& entry = *out.add_dynamic_active_clusters();
      entry.set_version_info(state.version);
      fill(kClusterType, state, *entry.mutable_cluster(), *entry.mutable_last_updated());
      add_error(state, *entry.mutable_error_state(), [&] { entry.clear_error_state(); });
    });
    return out;
  }

  admin::ListenersConfigDump listeners() const {
    admin::ListenersConfigDump out;
    for (const auto& listener : bootstrap_.static_resources().listeners()) {
      if (!wanted(listener.name())) continue;
      auto& entry = *out.add_static_listeners();
      entry.mutable_listener()->PackFrom(listener);
      set_time(*entry.mutable_last_updated(), started_);
    }
    if (store_ != nullptr) out.set_version_info(store_->type_version(kListenerType));
    each(kListenerType, [&](const std::string& name, const ResourceState& state) {
      auto& entry = *out.add_dynamic_listeners();
      entry.set_name(name);
      if (state.body != nullptr) {
        auto& active = *entry.mutable_active_state();
        active.set_version_info(state.version);
        fill(kListenerType, state, *active.mutable_listener(), *active.mutable_last_updated());
      }
      add_error(state, *entry.mutable_error_state(), [&] { entry.clear_error_state(); });
    });
    return out;
  }

  admin::RoutesConfigDump routes() const {
    admin::RoutesConfigDump out;
    for (const auto& listener : bootstrap_.static_resources().listeners()) {
      for (const auto& chain : listener.filter_chains()) add_static_routes(chain, out);
      add_static_routes(listener.default_filter_chain(), out);
    }
    each(kRouteType, [&](const std::string&, const ResourceState& state) {
      auto& entry = *out.add_dynamic_route_configs();
      entry.set_version_info(state.version);
      fill(kRouteType, state, *entry.mutable_route_config(), *entry.mutable_last_updated());
      add_error(state, *entry.mutable_error_state(), [&] { entry.clear_error_state(); });
    });
    return out;
  }

  admin::EndpointsConfigDump endpoints() const {
    admin::EndpointsConfigDump out;
    each(kEndpointType, [&](const std::string&, const ResourceState& state) {
      auto& entry = *out.add_dynamic_endpoint_configs();
      entry.set_version_info(state.version);
      fill(kEndpointType, state, *entry.mutable_endpoint_config(), *entry.mutable_last_updated());
      add_error(state, *entry.mutable_error_state(), [&] { entry.clear_error_state(); });
    });
    return out;
  }

  admin::SecretsConfigDump secrets() const {
    admin::SecretsConfigDump out;
    for (const auto& secret : bootstrap_.static_resources().secrets()) {
      if (!wanted(secret.name())) continue;
      auto& entry = *out.add_static_secrets();
      entry.set_name(secret.name());
      entry.mutable_secret()->PackFrom(secret);
      set_time(*entry.mutable_last_updated(), started_);
    }
    each(kSecretType, [&](const std::string& name, const ResourceState& state) {
      auto& entry = *out.add_dynamic_active_secrets();
      entry.set_name(name);
      entry.set_version_info(state.version);
      fill(kSecretType, state, *entry.mutable_secret(), *entry.mutable_last_updated());
      add_error(state, *entry.mutable_error_state(), [&] { entry.clear_error_state(); });
    });
    return out;
  }

 private:
  // Route tables that stand inside of a listener of the file.
  void add_static_routes(const envoy::config::listener::v3::FilterChain& chain, admin::RoutesConfigDump& out) const {
    for (const auto& filter : chain.filters()) {
      if (content_type(filter.typed_config()) != HttpConnectionManager::descriptor()->full_name()) continue;
      const auto manager = unpack<HttpConnectionManager>(filter.typed_config());
      if (!manager || !manager->has_route_config() || !wanted(manager->route_config().name())) continue;
      auto& entry = *out.add_static_route_configs();
      entry.mutable_route_config()->PackFrom(manager->route_config());
      set_time(*entry.mutable_last_updated(), started_);
    }
  }

  bool wanted(const std::string& name) const { return names_ == nullptr || names_->matches(name); }

  template <class Visit>
  void each(std::string_view type_url, Visit visit) const {
    if (store_ == nullptr) return;
    for (const auto& [name, state] : store_->states(type_url)) {
      if (wanted(name)) visit(name, state);
    }
  }

  static void fill(std::string_view type_url, const ResourceState& state, Any& out, Timestamp& updated) {
    if (state.body == nullptr) return;
    out.set_type_url(std::string(type_url));
    out.set_value(*state.body);
    set_time(updated, state.updated_wall_us);
  }

  template <class Clear>
  static void add_error(const ResourceState& state, admin::UpdateFailureState& out, Clear clear) {
    if (state.rejected_reason.empty()) return clear();
    out.set_details(state.rejected_reason);
    out.set_version_info(state.rejected_version);
  }

  const Bootstrap& bootstrap_;
  int64_t started_;
  const ResourceStore* store_;
  const config::Regex* names_;
};

// ?resource=dynamic_listeners: the entries of that field, of whichever part has it, stand in the dump by themselves.
bool add_field(const Message& part, const std::string& field_name, admin::ConfigDump& out) {
  const auto* field = part.GetDescriptor()->FindFieldByName(field_name);
  if (field == nullptr || !field->is_repeated()) return false;
  for (int i = 0; i < part.GetReflection()->FieldSize(part, field); ++i) {
    out.add_configs()->PackFrom(part.GetReflection()->GetRepeatedMessage(part, field, i));
  }
  return true;
}

std::string to_json(admin::ConfigDump& dump) {
  redact(dump);
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(dump, &json, options);
  return status.ok() ? json : "{\"error\": \"" + std::string(status.message()) + "\"}\n";
}

}  // namespace

std::expected<std::string, std::string> config_dump(std::string_view bootstrap, int64_t started_wall_us,
                                                    const ResourceStore* store, const ConfigDumpQuery& query) {
  std::shared_ptr<const config::Regex> names;
  if (!query.name_regex.empty()) {
    auto compiled = config::Regex::compile(query.name_regex);
    if (!compiled) return std::unexpected("name_regex: " + compiled.error());
    names = std::move(*compiled);
  }
  Bootstrap message;
  message.ParseFromArray(bootstrap.data(), static_cast<int>(bootstrap.size()));
  const Dump dump(message, started_wall_us, store, names.get());
  admin::ConfigDump out;
  if (query.resource.empty()) {
    if (!bootstrap.empty()) out.add_configs()->PackFrom(dump.bootstrap());
    out.add_configs()->PackFrom(dump.clusters());
    if (query.include_endpoints) out.add_configs()->PackFrom(dump.endpoints());
    out.add_configs()->PackFrom(dump.listeners());
    out.add_configs()->PackFrom(dump.routes());
    out.add_configs()->PackFrom(dump.secrets());
    return to_json(out);
  }
  const bool found = add_field(dump.clusters(), query.resource, out) ||
                     add_field(dump.listeners(), query.resource, out) ||
                     add_field(dump.routes(), query.resource, out) ||
                     add_field(dump.endpoints(), query.resource, out) || add_field(dump.secrets(), query.resource, out);
  if (!found) return std::unexpected(query.resource + " not found in config dump");
  return to_json(out);
}

}  // namespace pillion::xds::client
