// The resources that came over xDS, translated, and the snapshots made of them. Pure: time is passed in.
//
// What is good in a response is used and what is bad is named, its last good version stays. Bad is also what the TLS
// library refuses, and a secret that is of another kind than who refers to it wants. A resource becomes visible
// when what it needs is there (warming), so that no snapshot has a listener without its routes or a new cluster without
// its endpoints; what it replaces serves until then. Waiting has an end: after the initial_fetch_timeout of who refers
// to it (15 s where that says nothing, no end where it says zero) it is used as it is.
//
//   listener ──needs──► its RDS tables, its secrets          cluster ──needs──► its EDS assignment, its secrets
//   route table ──waits──► the clusters it names (kRouteHold where nobody announced them)
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/config/snapshot.h"
#include "xds/client/ads_stream.h"
#include "xds/client/tls_check.h"
#include "xds/translate/translate.h"

namespace pillion::xds::client {

inline constexpr Duration kRouteHold{2'000'000};

// One resource as /config_dump and the next stream want to know it.
struct ResourceState {
  std::string version;                      // of the good one in use; the response's where the resource has none
  std::shared_ptr<const std::string> body;  // serialized message of the good one; null while there is none
  int64_t updated_wall_us = 0;
  std::string rejected_version;  // of the last bad one, until a good one comes
  std::string rejected_reason;
};

class ResourceStore final : private KnownSecrets {
 public:
  // `statics` come from the bootstrap and are part of every snapshot. What `options` points to outlives the store.
  ResourceStore(config::SnapshotPtr statics, TranslationOptions options);

  // Takes what is good; `wall_now_us` is only shown to people. The errors name what is not, in the order of the
  // response.
  std::vector<ResourceError> apply(const Response& response, Instant now, int64_t wall_now_us);
  // A secret from elsewhere: the proxy's own identity, or a file. The key is SecretRef's.
  void set_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material);
  void remove_secret(const std::string& key);

  // The names that what was accepted refers to, and what still serves in its place: RDS, EDS and SDS. Starts the clock
  // of those that are new, and forgets what nobody refers to any more.
  // The same pointer as before where nothing changed.
  NamesPtr wanted(std::string_view type_url, Instant now);
  // The files with secrets that it refers to. wanted() starts their clock, together with those of SDS.
  const FileWishes& wanted_files();
  // For the next stream.
  std::string type_version(std::string_view type_url) const;
  std::map<std::string, std::string> resource_versions(std::string_view type_url) const;

  // The configuration that is whole now. The same pointer as before where nothing changed.
  config::SnapshotPtr build(Instant now);
  // The last build() took something out of service: wanted() may give less now, and build() after it.
  bool has_let_go() const { return has_let_go_; }
  // When build() may give more without anything having come.
  std::optional<Instant> next_deadline() const { return next_deadline_; }
  // Listeners and clusters were answered, and nothing that they need is waited for.
  bool is_complete() const { return answered_.contains(kListeners) && answered_.contains(kClusters) && !is_warming_; }

  const std::map<std::string, ResourceState, std::less<>>& states(std::string_view type_url) const;

 private:
  enum Kind : int { kListeners, kRoutes, kClusters, kEndpoints, kSecrets, kKinds };
  template <class T>
  struct Entry {
    std::shared_ptr<const T> value;
    Instant arrived{};
  };
  template <class T>
  using Entries = std::map<std::string, Entry<T>, std::less<>>;
  template <class T>
  using Replaced = std::map<std::string, std::shared_ptr<const T>, std::less<>>;
  using Waits = std::map<std::string, Instant, std::less<>>;  // name to when it was first wanted

  static std::optional<Kind> kind_of(std::string_view type_url);
  template <class Message, class T, class Translate>
  void take(Kind kind, Entries<T>& entries, const Response& response, Instant now, int64_t wall_now_us,
            Translate translate, std::vector<ResourceError>& errors);
  template <class T>
  void remove_absent(Kind kind, Entries<T>& entries, const std::set<std::string>& present);
  void remove(Kind kind, const std::string& name);
  void keep_what_serves(Kind kind, const std::string& name);
  template <class T>
  void note_references(const std::string& name, const std::shared_ptr<const T>& before, const T& now);
  void references_changed();
  std::set<std::string> subscriptions(Kind kind) const;
  std::set<std::string> secrets_in_use() const;

  SecretWishes secret_wishes() const;
  std::shared_ptr<const TlsMaterial> find_secret(const config::SecretRef& ref) const override;

  template <class Visit>
  void for_each_user(Visit visit) const;
  static std::set<std::string> routes_of(const config::Listener& listener);
  bool has_come(Kind kind, const std::string& name) const;
  // It has come, or was waited for as long as `timeout` says; zero: for ever.
  bool is_due(Kind kind, const std::string& name, Duration timeout, Instant now);
  template <class T>
  void drop_gone(Kind kind, const Entries<T>& entries, const config::Table<T>& statics, config::Table<T>& next) const;
  template <class T>
  void put(Kind kind, const Entries<T>& entries, const config::Table<T>& statics, config::Table<T>& next) const;
  void build_clusters(config::Snapshot& next, Instant now);
  template <class Resource>
  bool has_secrets(const Resource& resource, Instant now);
  bool is_warm(const config::Cluster& cluster, Instant now);
  bool is_warm(const config::Listener& listener, const config::Snapshot& next, Instant now);
  bool is_held(const Entry<config::RouteConfiguration>& entry, const config::Snapshot& next, Instant now);
  void wait_until(Instant deadline);

  TranslationOptions options_;
  config::SnapshotPtr statics_;
  config::SnapshotPtr current_;
  Entries<config::Listener> listeners_;
  Entries<config::RouteConfiguration> routes_;
  Entries<config::Cluster> clusters_;
  Entries<config::EndpointAssignment> endpoints_;
  Entries<TlsMaterial> secrets_;
  // In force while what came in its place is warming: what it refers to is needed until then.
  Replaced<config::Listener> replaced_listeners_;
  Replaced<config::Cluster> replaced_clusters_;
  std::map<std::string, ResourceState, std::less<>> states_[kKinds];
  std::string type_versions_[kKinds];
  Waits waits_[kKinds];
  // An update of one resource of ten thousand costs that one: what follows from all of them is kept until it changes.
  NamesPtr wanted_[kKinds];
  bool wanted_is_old_[kKinds] = {true, true, true, true, true};
  FileWishes files_;
  bool files_are_old_ = true;
  std::vector<std::string> touched_[kKinds];  // since the last build: has a new value, or none any more
  std::set<std::string> unready_clusters_;    // as of then
  std::set<int> answered_;
  std::optional<Instant> next_deadline_;
  bool is_warming_ = false;
  bool has_let_go_ = false;
  bool dirty_ = true;
};

}  // namespace pillion::xds::client
