#include "xds/client/resource_store.h"

#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>

#include <algorithm>

#include "xds/api/any.h"

namespace pillion::xds::client {
namespace {

constexpr std::string_view kTypeUrls[] = {kListenerType, kRouteType, kClusterType, kEndpointType, kSecretType};

template <class Message>
std::string name_of(const Message& message) {
  if constexpr (requires { message.cluster_name(); }) {
    return message.cluster_name();
  } else {
    return message.name();
  }
}

template <class T>
void for_each_manager(const config::Listener& listener, T visit) {
  const auto look = [&](const config::FilterChain& chain) {
    if (const auto* manager = std::get_if<config::HttpConnectionManager>(&chain.terminal)) visit(*manager);
  };
  for (const config::FilterChain& chain : listener.chains) look(chain);
  if (listener.default_chain) look(*listener.default_chain);
}

void collect_clusters(const config::RouteConfiguration& routes, std::set<std::string_view>& out) {
  for (const config::VirtualHost& host : routes.virtual_hosts) {
    for (const config::Route& route : host.routes) {
      const auto* action = std::get_if<config::RouteAction>(&route.action);
      if (action == nullptr) continue;
      for (const config::WeightedCluster& c : action->clusters) out.insert(c.cluster);
    }
  }
}

// Translates, then asks the TLS library.
template <class Translate, class Check>
auto checked(Translate translate, Check check) {
  return [translate, check](const auto& message, const TranslationOptions& options, std::string_view path) {
    auto made = translate(message, options, path);
    if (!made) return made;
    if (std::optional<ConfigError> fault = check(message, *made)) made = std::unexpected(std::move(*fault));
    return made;
  };
}

// What a resource refers to, as a text that is the same for the same references.
template <class Resource>
std::string references_of(const Resource& resource) {
  std::string out;
  if constexpr (std::is_same_v<Resource, config::Cluster>) {
    if (resource.type == config::Cluster::Type::eds) out += resource.eds_name + '\n';
  } else if constexpr (std::is_same_v<Resource, config::Listener>) {
    for_each_manager(resource, [&](const config::HttpConnectionManager& manager) { out += manager.rds_name + '\n'; });
  }
  for_each_secret(resource, [&](const config::SecretRef& ref, SecretUse use) {
    out += ref.key() + '\n' + (ref.from_sds ? "sds" : "") + ref.sds_watched_directory + '\n';
    out += use == SecretUse::trust ? 't' : 'c';
  });
  return out;
}

}  // namespace

ResourceStore::ResourceStore(config::SnapshotPtr statics, TranslationOptions options)
    : options_(options), statics_(std::move(statics)), current_(statics_) {}

std::optional<ResourceStore::Kind> ResourceStore::kind_of(std::string_view type_url) {
  for (int i = 0; i < kKinds; ++i) {
    if (kTypeUrls[i] == type_url) return static_cast<Kind>(i);
  }
  return std::nullopt;
}

// === what comes ===

std::vector<ResourceError> ResourceStore::apply(const Response& response, Instant now, int64_t wall_now_us) {
  std::vector<ResourceError> errors;
  const std::optional<Kind> kind = kind_of(response.type_url);
  if (!kind) return errors;
  answered_.insert(*kind);
  using namespace envoy::config;
  const auto apply_as = [&]<class Message, class T>(Entries<T>& entries, auto translate) {
    take<Message>(*kind, entries, response, now, wall_now_us, translate, errors);
  };
  const auto check_tls = [this](const auto&, const auto& resource) { return tls_fault(*resource, *this); };
  switch (*kind) {
    case kListeners:
      apply_as.template operator()<listener::v3::Listener>(listeners_, checked(translate_listener, check_tls));
      break;
    case kRoutes:
      apply_as.template operator()<route::v3::RouteConfiguration>(routes_, translate_route_configuration);
      break;
    case kClusters:
      apply_as.template operator()<cluster::v3::Cluster>(clusters_, checked(translate_cluster, check_tls));
      break;
    case kEndpoints:
      apply_as.template operator()<endpoint::v3::ClusterLoadAssignment>(endpoints_, translate_endpoints);
      break;
    case kSecrets: {
      using envoy::extensions::transport_sockets::tls::v3::Secret;
      const auto check = [this, wishes = secret_wishes()](const Secret& message, const auto& material) {
        if (auto fault = tls_fault(material)) return fault;
        auto fault = misfit(message.name(), *material, wishes);
        // The server does not send it again when who refers to it is put right: it is held where there is no other.
        if (fault && !secrets_.contains(message.name())) set_secret(message.name(), material);
        return fault;
      };
      apply_as.template operator()<Secret>(secrets_, checked(translate_secret, check));
      break;
    }
    case kKinds: break;
  }
  std::set<std::string_view> sent;
  if (!response.removed.empty()) {
    for (const Received& received : response.resources) sent.insert(received.name);
  }
  for (const std::string& name : response.removed) {
    if (sent.contains(name)) {
      errors.push_back({name, "the response both sends and removes it"});
    } else {
      remove(*kind, name);
    }
  }
  if (errors.empty()) type_versions_[*kind] = response.version;
  return errors;
}

template <class Message, class T, class Translate>
void ResourceStore::take(Kind kind, Entries<T>& entries, const Response& response, Instant now, int64_t wall_now_us,
                         Translate translate, std::vector<ResourceError>& errors) {
  std::set<std::string> present;
  bool has_unnamed = false;
  // Nobody asked for it: wanted() throws it away.
  const auto found_nowhere = [this, kind](const std::string& name) {
    return wanted_[kind] == nullptr || !wanted_[kind]->contains(name);
  };
  for (const Received& received : response.resources) {
    Message message;
    std::string name = received.name;
    const auto bad = [&](std::string reason) {
      if (!name.empty()) {
        ResourceState& state = states_[kind][name];
        state.rejected_version = received.version.empty() ? response.version : received.version;
        state.rejected_reason = reason;
      }
      if (found_nowhere(name)) wanted_is_old_[kind] = true;
      errors.push_back({name, std::move(reason)});
    };
    if (auto unpacked = unpack_into(received.body, message); !unpacked) {
      bad(unpacked.error().to_string());
      has_unnamed = has_unnamed || name.empty();
      if (!name.empty()) present.insert(name);
      continue;
    }
    if (name.empty()) name = name_of(message);
    if (!present.insert(name).second) {
      bad("the response names it twice");
      continue;
    }
    const auto found = entries.find(name);
    ResourceState& state = states_[kind][name];
    const std::string& version = received.version.empty() ? response.version : received.version;
    if (found != entries.end() && state.body != nullptr && *state.body == received.body.value()) {
      state.version = version;  // what is there is the same: nothing downstream of it may move
      state.rejected_version.clear();
      state.rejected_reason.clear();
      continue;
    }
    auto translated = translate(message, options_, std::string_view());
    if (!translated) {
      bad(translated.error().to_string());
      continue;
    }
    keep_what_serves(kind, name);
    if constexpr (std::is_same_v<T, config::Listener> || std::is_same_v<T, config::Cluster>) {
      note_references<T>(name, found == entries.end() ? nullptr : found->second.value, **translated);
    } else if (found_nowhere(name)) {
      wanted_is_old_[kind] = true;
    }
    touched_[kind].push_back(name);
    entries.insert_or_assign(name, Entry<T>{std::move(*translated), now});
    state = {version, std::make_shared<const std::string>(received.body.value()), wall_now_us, {}, {}};
    dirty_ = true;
  }
  // Which one cannot be read is not known, so none may be taken for absent.
  if (response.full_state && !has_unnamed) remove_absent(kind, entries, present);
}

template <class T>
void ResourceStore::remove_absent(Kind kind, Entries<T>& entries, const std::set<std::string>& present) {
  std::vector<std::string> gone;
  for (const auto& [name, entry] : entries) {
    if (!present.contains(name)) gone.push_back(name);
  }
  for (const std::string& name : gone) remove(kind, name);
  std::erase_if(states_[kind], [&](const auto& state) { return !present.contains(state.first); });
}

void ResourceStore::remove(Kind kind, const std::string& name) {
  states_[kind].erase(name);
  touched_[kind].push_back(name);
  if (kind == kListeners || kind == kClusters) references_changed();
  dirty_ = true;
  switch (kind) {
    case kListeners:
      listeners_.erase(name);
      replaced_listeners_.erase(name);
      break;
    case kRoutes: routes_.erase(name); break;
    case kClusters:
      clusters_.erase(name);
      replaced_clusters_.erase(name);
      break;
    case kEndpoints: endpoints_.erase(name); break;
    case kSecrets: secrets_.erase(name); break;
    case kKinds: break;
  }
}

void ResourceStore::keep_what_serves(Kind kind, const std::string& name) {
  const auto keep = [&name](auto& replaced, const auto& in_force) {
    if (const auto found = in_force.find(name); found != in_force.end()) replaced.insert_or_assign(name, found->second);
  };
  if (kind == kListeners) keep(replaced_listeners_, current_->listeners);
  if (kind == kClusters) keep(replaced_clusters_, current_->clusters);
}

void ResourceStore::references_changed() {
  std::fill(std::begin(wanted_is_old_), std::end(wanted_is_old_), true);
  files_are_old_ = true;
}

// Of the one that came before and the one that serves: they are the same mostly.
template <class T>
void ResourceStore::note_references(const std::string& name, const std::shared_ptr<const T>& before, const T& now) {
  const auto differ = [&now](const T* other) {
    return other != nullptr && references_of(*other) != references_of(now);
  };
  const T* serves = nullptr;
  if constexpr (std::is_same_v<T, config::Listener>) serves = config::find(current_->listeners, name);
  if constexpr (std::is_same_v<T, config::Cluster>) serves = config::find(current_->clusters, name);
  if (before == nullptr || differ(before.get()) || differ(serves)) references_changed();
}

void ResourceStore::set_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material) {
  touched_[kSecrets].push_back(key);
  secrets_.insert_or_assign(key, Entry<TlsMaterial>{std::move(material), {}});
  dirty_ = true;
}

void ResourceStore::remove_secret(const std::string& key) {
  if (secrets_.erase(key) == 0) return;
  touched_[kSecrets].push_back(key);
  dirty_ = true;
}

// === what is asked for ===

std::set<std::string> ResourceStore::routes_of(const config::Listener& listener) {
  std::set<std::string> out;
  for_each_manager(listener, [&](const config::HttpConnectionManager& manager) {
    if (!manager.rds_name.empty()) out.insert(manager.rds_name);
  });
  return out;
}

template <class Visit>  // (const config::Listener&) and (const config::Cluster&)
void ResourceStore::for_each_user(Visit visit) const {
  for (const auto& [name, listener] : statics_->listeners) visit(*listener);
  for (const auto& [name, entry] : listeners_) visit(*entry.value);
  for (const auto& [name, listener] : replaced_listeners_) visit(*listener);
  for (const auto& [name, cluster] : statics_->clusters) visit(*cluster);
  for (const auto& [name, entry] : clusters_) visit(*entry.value);
  for (const auto& [name, cluster] : replaced_clusters_) visit(*cluster);
}

std::set<std::string> ResourceStore::subscriptions(Kind kind) const {
  std::set<std::string> names;
  for_each_user([&](const auto& user) {
    if (kind == kSecrets) {
      for_each_secret(user, [&](const config::SecretRef& ref, SecretUse) {
        if (ref.from_sds) names.insert(ref.name);
      });
    } else if constexpr (std::is_same_v<decltype(user), const config::Listener&>) {
      if (kind == kRoutes) names.merge(routes_of(user));
    } else {
      if (kind == kEndpoints && user.type == config::Cluster::Type::eds) names.insert(user.eds_name);
    }
  });
  return names;
}

std::set<std::string> ResourceStore::secrets_in_use() const {
  std::set<std::string> keys;
  for_each_user([&](const auto& user) {
    for_each_secret(user, [&](const config::SecretRef& ref, SecretUse) { keys.insert(ref.key()); });
  });
  return keys;
}

NamesPtr ResourceStore::wanted(std::string_view type_url, Instant now) {
  static const NamesPtr kNone = std::make_shared<const std::set<std::string>>();
  const std::optional<Kind> kind = kind_of(type_url);
  if (!kind || *kind == kListeners || *kind == kClusters) return kNone;
  NamesPtr& kept = wanted_[*kind];
  if (!std::exchange(wanted_is_old_[*kind], false)) return kept;
  std::set<std::string> names = subscriptions(*kind);
  // The clock runs for secrets from elsewhere as well.
  const std::set<std::string> in_use = *kind == kSecrets ? secrets_in_use() : names;
  Waits& waits = waits_[*kind];
  std::erase_if(waits, [&](const auto& wait) { return !in_use.contains(wait.first); });
  for (const std::string& name : in_use) waits.try_emplace(name, now);
  // Nobody refers to it any more: that, and not its absence from a response, is how these types end.
  std::vector<std::string> orphans;
  for (const auto& [name, state] : states_[*kind]) {
    if (!names.contains(name)) orphans.push_back(name);
  }
  for (const std::string& name : orphans) remove(*kind, name);
  if (kept == nullptr || *kept != names) kept = std::make_shared<const std::set<std::string>>(std::move(names));
  return kept;
}

SecretWishes ResourceStore::secret_wishes() const {
  SecretWishes out;
  for_each_user([&out](const auto& user) { add_sds_wishes(user, out); });
  return out;
}

std::shared_ptr<const TlsMaterial> ResourceStore::find_secret(const config::SecretRef& ref) const {
  const std::string key = ref.key();
  if (const auto found = secrets_.find(key); found != secrets_.end()) return found->second.value;
  const auto found = statics_->secrets.find(key);
  return found == statics_->secrets.end() ? nullptr : found->second;
}

const FileWishes& ResourceStore::wanted_files() {
  if (std::exchange(files_are_old_, false)) {
    files_.clear();
    for_each_user([this](const auto& user) { add_file_wishes(user, files_); });
  }
  return files_;
}

std::string ResourceStore::type_version(std::string_view type_url) const {
  const std::optional<Kind> kind = kind_of(type_url);
  return kind ? type_versions_[*kind] : std::string();
}

std::map<std::string, std::string> ResourceStore::resource_versions(std::string_view type_url) const {
  std::map<std::string, std::string> out;
  const std::optional<Kind> kind = kind_of(type_url);
  if (!kind) return out;
  for (const auto& [name, state] : states_[*kind]) {
    if (state.body != nullptr) out.emplace(name, state.version);
  }
  return out;
}

const std::map<std::string, ResourceState, std::less<>>& ResourceStore::states(std::string_view type_url) const {
  static const std::map<std::string, ResourceState, std::less<>> kNone;
  const std::optional<Kind> kind = kind_of(type_url);
  return kind ? states_[*kind] : kNone;
}

// === what is made of it ===

void ResourceStore::wait_until(Instant deadline) {
  is_warming_ = true;
  if (!next_deadline_ || deadline < *next_deadline_) next_deadline_ = deadline;
}

bool ResourceStore::has_come(Kind kind, const std::string& name) const {
  switch (kind) {
    case kRoutes: return routes_.contains(name) || statics_->routes.contains(name);
    case kEndpoints: return endpoints_.contains(name) || statics_->endpoints.contains(name);
    case kSecrets: return secrets_.contains(name) || statics_->secrets.contains(name);
    default: return true;
  }
}

bool ResourceStore::is_due(Kind kind, const std::string& name, Duration timeout, Instant now) {
  if (has_come(kind, name)) return true;
  const auto [wait, fresh] = waits_[kind].try_emplace(name, now);
  if (timeout == Duration::zero()) {
    is_warming_ = true;
    return false;
  }
  const Instant deadline = wait->second + timeout;
  if (now >= deadline) return true;
  wait_until(deadline);
  return false;
}

// All of them are looked at, so that the clock runs for all.
template <class Resource>
bool ResourceStore::has_secrets(const Resource& resource, Instant now) {
  bool all = true;
  for_each_secret(resource, [&](const config::SecretRef& ref, SecretUse) {
    all &= is_due(kSecrets, ref.key(), ref.fetch_timeout, now);
  });
  return all;
}

bool ResourceStore::is_warm(const config::Cluster& cluster, Instant now) {
  const bool has_endpoints = cluster.type != config::Cluster::Type::eds ||
                             is_due(kEndpoints, cluster.eds_name, cluster.eds_fetch_timeout, now);
  return has_secrets(cluster, now) && has_endpoints;
}

bool ResourceStore::is_warm(const config::Listener& listener, const config::Snapshot& next, Instant now) {
  bool warm = has_secrets(listener, now);
  for_each_manager(listener, [&](const config::HttpConnectionManager& manager) {
    const std::string& name = manager.rds_name;
    if (name.empty()) return;
    warm &= is_due(kRoutes, name, manager.rds_fetch_timeout, now);
    warm &= !routes_.contains(name) || next.routes.contains(name);
  });
  return warm;
}

// A table that names a cluster which is still on its way waits for it, so that no request meets a route to nowhere.
bool ResourceStore::is_held(const Entry<config::RouteConfiguration>& entry, const config::Snapshot& next, Instant now) {
  const Instant deadline = entry.arrived + kRouteHold;
  std::set<std::string_view> named;
  collect_clusters(*entry.value, named);
  for (const std::string_view cluster : named) {
    if (next.clusters.contains(cluster)) continue;
    if (clusters_.contains(cluster)) {
      is_warming_ = true;  // the cluster's own waiting has an end
      return true;
    }
    if (now < deadline) {
      wait_until(deadline);
      return true;
    }
  }
  return false;
}

// What has no value any more is what the bootstrap says.
template <class T>
void ResourceStore::drop_gone(Kind kind, const Entries<T>& entries, const config::Table<T>& statics,
                              config::Table<T>& next) const {
  for (const std::string& name : touched_[kind]) {
    if (entries.contains(name)) continue;
    if (const auto value = statics.get(name)) {
      next.insert_or_assign(name, value);
    } else {
      next.erase(name);
    }
  }
}

// Of what need not wait for anything.
template <class T>
void ResourceStore::put(Kind kind, const Entries<T>& entries, const config::Table<T>& statics,
                        config::Table<T>& next) const {
  drop_gone(kind, entries, statics, next);
  for (const std::string& name : touched_[kind]) {
    if (const auto found = entries.find(name); found != entries.end()) next.insert_or_assign(name, found->second.value);
  }
}

// What is not ready yet is represented by what it replaces, if there is such a thing.
void ResourceStore::build_clusters(config::Snapshot& next, Instant now) {
  std::set<std::string> looked_at = std::move(unready_clusters_);
  unready_clusters_.clear();
  looked_at.insert(touched_[kClusters].begin(), touched_[kClusters].end());
  for (const std::string& name : looked_at) {
    const auto found = clusters_.find(name);
    if (found == clusters_.end()) continue;
    if (!is_warm(*found->second.value, now)) {
      unready_clusters_.insert(name);
      continue;
    }
    next.clusters.insert_or_assign(name, found->second.value);
    if (const auto old = replaced_clusters_.find(name); old != replaced_clusters_.end()) {
      if (references_of(*old->second) != references_of(*found->second.value)) references_changed();
      replaced_clusters_.erase(old);
      has_let_go_ = true;
    }
  }
}

// What is in force already is not looked at again.
config::SnapshotPtr ResourceStore::build(Instant now) {
  has_let_go_ = false;
  if (!dirty_ && !(next_deadline_ && now >= *next_deadline_)) return current_;
  dirty_ = false;
  is_warming_ = false;
  next_deadline_.reset();
  auto next = std::make_shared<config::Snapshot>(*current_);
  ++next->sequence;
  put(kSecrets, secrets_, statics_->secrets, next->secrets);
  put(kEndpoints, endpoints_, statics_->endpoints, next->endpoints);
  drop_gone(kClusters, clusters_, statics_->clusters, next->clusters);
  build_clusters(*next, now);
  drop_gone(kRoutes, routes_, statics_->routes, next->routes);
  for (const auto& [name, entry] : routes_) {
    if (next->routes.get(name) == entry.value || is_held(entry, *next, now)) continue;
    next->routes.insert_or_assign(name, entry.value);
  }
  drop_gone(kListeners, listeners_, statics_->listeners, next->listeners);
  for (const auto& [name, entry] : listeners_) {
    if (next->listeners.get(name) == entry.value || !is_warm(*entry.value, *next, now)) continue;
    next->listeners.insert_or_assign(name, entry.value);
    if (replaced_listeners_.erase(name) > 0) {
      has_let_go_ = true;
      references_changed();
    }
  }
  for (std::vector<std::string>& names : touched_) names.clear();
  current_ = next;
  return current_;
}

}  // namespace pillion::xds::client
