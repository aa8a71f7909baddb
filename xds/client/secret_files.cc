#include "xds/client/secret_files.h"

#include <envoy/extensions/transport_sockets/tls/v3/secret.pb.h>
#include <envoy/service/discovery/v3/discovery.pb.h>

#include <map>
#include <optional>

#include "proxy/base/log.h"
#include "xds/api/any.h"
#include "xds/api/yaml.h"
#include "xds/client/tls_check.h"
#include "xds/translate/translate.h"

namespace pillion::xds::client {
namespace {

using envoy::extensions::transport_sockets::tls::v3::Secret;
using envoy::service::discovery::v3::DiscoveryResponse;

using Wanted = std::map<std::string, std::set<std::string>>;  // path to names

void want(const config::TlsContext* tls, Wanted& out) {
  if (tls == nullptr) return;
  for (const config::SecretRef& ref : tls->certificates) {
    if (!ref.sds_path.empty()) out[ref.sds_path].insert(ref.name);
  }
  const config::SecretRef& trust = tls->validation.trust;
  if (!trust.sds_path.empty()) out[trust.sds_path].insert(trust.name);
}

Wanted wanted_of(const config::Snapshot& config) {
  Wanted out;
  for (const auto& [name, listener] : config.listeners) {
    for (const config::FilterChain& chain : listener->chains) want(chain.tls.get(), out);
    if (listener->default_chain) want(listener->default_chain->tls.get(), out);
  }
  for (const auto& [name, cluster] : config.clusters) {
    want(cluster->tls.get(), out);
    for (const config::TransportSocketMatch& match : cluster->socket_matches) want(match.tls.get(), out);
  }
  return out;
}

bool same(const TlsMaterial& a, const TlsMaterial& b) {
  return a.cert_chain == b.cert_chain && a.private_key == b.private_key && a.trust_bundle == b.trust_bundle;
}

}  // namespace

FileSecrets read_secret_file(const std::string& path, const std::set<std::string>& names) {
  FileSecrets out;
  DiscoveryResponse response;
  const auto lines = load_file(path, response);
  if (!lines) {
    out.errors = lines.error();
    return out;
  }
  std::set<std::string> missing = names;
  for (int i = 0; i < response.resources_size(); ++i) {
    const std::string where = "resources[" + std::to_string(i) + "]";
    const auto fail = [&](ConfigError error) { out.errors.push_back(lines->place(std::move(error))); };
    auto secret = unpack<Secret>(response.resources(i), where);
    if (!secret) {
      fail(std::move(secret.error()));
      continue;
    }
    if (!names.contains(secret->name())) continue;
    missing.erase(secret->name());
    const auto material = translate_secret(*secret, {}, where);
    if (!material) {
      fail(material.error());
    } else if (auto fault = tls_fault(*material)) {
      fail({path, 0, fault->path.empty() ? where : where + "." + fault->path, std::move(fault->reason)});
    } else {
      out.secrets.insert_or_assign(secret->name(), *material);
    }
  }
  for (const std::string& name : missing) {
    out.errors.push_back({path, 0, "resources", "there is no secret " + name});
  }
  return out;
}

class SecretFiles::File {
 public:
  File(event::Loop& loop, std::string path, std::set<std::string> names, SecretFileEvents& events)
      : loop_(loop), path_(std::move(path)), names_(std::move(names)), events_(events) {}

  void start() {
    // Watched first: a change while it is read is not missed.
    watch_.emplace(loop_, path_, event::Callback::bind<&File::read>(this));
    read();
  }

 private:
  void read() {
    FileSecrets file = read_secret_file(path_, names_);
    for (const ConfigError& error : file.errors) PILLION_LOG(error, "secrets: {}", error.to_string());
    for (const auto& [name, material] : file.secrets) {
      std::shared_ptr<const TlsMaterial>& known = good_[name];
      if (known != nullptr && same(*known, *material)) continue;
      known = material;
      PILLION_LOG(info, "secrets: {} is read from {}", name, path_);
      events_.on_file_secret(name, material);
    }
  }

  event::Loop& loop_;
  const std::string path_;
  const std::set<std::string> names_;
  SecretFileEvents& events_;
  std::map<std::string, std::shared_ptr<const TlsMaterial>> good_;
  std::optional<event::FileWatch> watch_;
};

SecretFiles::SecretFiles(event::Loop& loop, const config::Snapshot& config, SecretFileEvents& events)
    : loop_(loop), events_(events) {
  for (auto& [path, names] : wanted_of(config)) {
    files_.push_back(std::make_unique<File>(loop_, path, names, events_));
  }
}

SecretFiles::~SecretFiles() = default;

void SecretFiles::start() {
  for (const auto& file : files_) file->start();
}

}  // namespace pillion::xds::client
