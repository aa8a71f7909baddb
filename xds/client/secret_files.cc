#include "xds/client/secret_files.h"

#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>

#include <optional>
#include <set>
#include <utility>

#include "proxy/base/log.h"
#include "proxy/event/file_watch.h"
#include "xds/api/any.h"
#include "xds/api/yaml.h"
#include "xds/client/tls_check.h"
#include "xds/translate/translate.h"

namespace pillion::xds::client {
namespace {

using envoy::extensions::transport_sockets::tls::v3::Secret;
using envoy::service::discovery::v3::DiscoveryResponse;

bool same(const TlsMaterial& a, const TlsMaterial& b) {
  return a.cert_chain == b.cert_chain && a.private_key == b.private_key && a.trust_bundle == b.trust_bundle;
}

}  // namespace

FileSecrets read_secret_file(const std::string& path, const SecretWishes& wishes) {
  FileSecrets out;
  DiscoveryResponse response;
  const auto lines = load_file(path, response);
  if (!lines) {
    out.errors = lines.error();
    return out;
  }
  std::set<std::string_view> missing;
  for (const auto& [name, wish] : wishes) missing.insert(name);
  for (int i = 0; i < response.resources_size(); ++i) {
    const std::string where = "resources[" + std::to_string(i) + "]";
    const auto fail = [&](ConfigError error) { out.errors.push_back(lines->place(std::move(error))); };
    auto secret = unpack<Secret>(response.resources(i), where);
    if (!secret) {
      fail(std::move(secret.error()));
      continue;
    }
    const std::string& name = secret->name();
    if (!wishes.contains(name)) continue;
    missing.erase(name);
    const auto material = translate_secret(*secret, {}, where);
    if (!material) {
      fail(material.error());
      continue;
    }
    auto fault = tls_fault(*material);
    if (!fault) fault = misfit(name, **material, wishes);
    if (fault) {
      fail({path, 0, fault->path.empty() ? where : where + "." + fault->path, std::move(fault->reason)});
    } else {
      out.secrets.insert_or_assign(name, *material);
    }
  }
  for (const std::string_view name : missing) {
    out.errors.push_back({path, 0, "resources", "there is no secret " + std::string(name)});
  }
  return out;
}

class SecretFiles::File {
 public:
  File(event::Loop& loop, std::string path, SecretFileEvents& events)
      : loop_(loop), path_(std::move(path)), events_(events) {}

  void set(const FileWish& wish) {
    if (!wish_ || wish_->directories != wish.directories) watch(wish.directories);
    wish_ = wish;
    for (auto known = good_.begin(); known != good_.end();) {
      if (wish.names.contains(known->first)) {
        ++known;
      } else {
        tell_gone(known->first);
        known = good_.erase(known);
      }
    }
    read();
  }

  void let_go() {
    watches_.clear();
    for (const auto& [name, material] : good_) tell_gone(name);
  }

 private:
  // Watched before it is read: a change in between is not missed.
  void watch(const std::set<std::string>& directories) {
    watches_.clear();
    const auto changed = event::Callback::bind<&File::read>(this);
    watches_.push_back(std::make_unique<event::FileWatch>(loop_, path_, changed));
    for (const std::string& directory : directories) {
      watches_.push_back(std::make_unique<event::FileWatch>(loop_, directory, changed));
    }
  }

  void read() {
    FileSecrets file = read_secret_file(path_, wish_->names);
    for (const ConfigError& error : file.errors) PILLION_LOG(error, "secrets: {}", error.to_string());
    for (const auto& [name, material] : file.secrets) {
      std::shared_ptr<const TlsMaterial>& known = good_[name];
      if (known != nullptr && same(*known, *material)) continue;
      known = material;
      PILLION_LOG(info, "secrets: {} is read from {}", name, path_);
      events_.on_file_secret(config::SecretRef::key_in_file(path_, name), material);
    }
  }

  void tell_gone(const std::string& name) { events_.on_file_secret_gone(config::SecretRef::key_in_file(path_, name)); }

  event::Loop& loop_;
  const std::string path_;
  SecretFileEvents& events_;
  std::optional<FileWish> wish_;
  std::map<std::string, std::shared_ptr<const TlsMaterial>> good_;  // by name, as told
  std::vector<std::unique_ptr<event::FileWatch>> watches_;
};

SecretFiles::SecretFiles(event::Loop& loop, SecretFileEvents& events) : loop_(loop), events_(events) {}

SecretFiles::~SecretFiles() = default;

void SecretFiles::watch(const FileWishes& wishes) {
  if (wishes == wishes_) return;
  const FileWishes before = std::exchange(wishes_, wishes);
  std::erase_if(files_, [&](const auto& file) {
    const bool gone = !wishes.contains(file.first);
    if (gone) file.second->let_go();
    return gone;
  });
  for (const auto& [path, wish] : wishes) {
    const auto old = before.find(path);
    if (old != before.end() && old->second == wish) continue;
    std::unique_ptr<File>& file = files_[path];
    if (file == nullptr) file = std::make_unique<File>(loop_, path, events_);
    file->set(wish);
  }
}

}  // namespace pillion::xds::client
