// Who wants what of which secret: listeners and clusters name secrets, and say whether they want a certificate or
// roots.
#pragma once

#include <map>
#include <set>
#include <string>

#include "proxy/config/snapshot.h"
#include "xds/client/tls_walk.h"

namespace pillion::xds::client {

// The first who wants it, in words: "listener web"; empty where nobody does.
struct SecretWish {
  std::string of_certificate, of_trust;
  std::string& of(SecretUse use) { return use == SecretUse::certificate ? of_certificate : of_trust; }
  bool operator==(const SecretWish&) const = default;
};
using SecretWishes = std::map<std::string, SecretWish, std::less<>>;  // by name

// Secrets of one file.
struct FileWish {
  SecretWishes names;
  std::set<std::string> directories;  // watched_directory of those who name it
  bool operator==(const FileWish&) const = default;
};
using FileWishes = std::map<std::string, FileWish>;  // by path

inline std::string describe_user(const config::Listener& listener) {
  return "listener " + listener.name;
}
inline std::string describe_user(const config::Cluster& cluster) {
  return "cluster " + cluster.name;
}

template <class User>
void add_wish(const User& user, const config::SecretRef& ref, SecretUse use, SecretWishes& out) {
  std::string& who = out[ref.name].of(use);
  if (who.empty()) who = describe_user(user);
}

// What a listener or a cluster wants of secrets that are subscribed to.
template <class User>
void add_sds_wishes(const User& user, SecretWishes& out) {
  for_each_secret(user, [&](const config::SecretRef& ref, SecretUse use) {
    if (ref.from_sds) add_wish(user, ref, use, out);
  });
}

// What it wants of files.
template <class User>
void add_file_wishes(const User& user, FileWishes& out) {
  for_each_secret(user, [&](const config::SecretRef& ref, SecretUse use) {
    if (ref.sds_path.empty()) return;
    FileWish& file = out[ref.sds_path];
    add_wish(user, ref, use, file.names);
    if (!ref.sds_watched_directory.empty()) file.directories.insert(ref.sds_watched_directory);
  });
}

inline FileWishes file_wishes(const config::Snapshot& config) {
  FileWishes out;
  for (const auto& [name, listener] : config.listeners) add_file_wishes(*listener, out);
  for (const auto& [name, cluster] : config.clusters) add_file_wishes(*cluster, out);
  return out;
}

}  // namespace pillion::xds::client
