#include "proxy/admin/certificates.h"

#include <algorithm>
#include <set>

#include "proxy/net/certificate_info.h"

namespace pillion::admin {
namespace {

constexpr int64_t kDaySeconds = 24 * 60 * 60;

class Collector {
 public:
  explicit Collector(const config::Snapshot& snapshot) : snapshot_(snapshot) {}

  void add(const config::TlsContext* tls) {
    if (tls == nullptr) return;
    CertificateUse use;
    for (const config::SecretRef& ref : tls->certificates) {
      if (const TlsMaterial* material = find(ref)) use.presented.push_back(material);
    }
    use.trust = find(tls->validation.trust);
    add(std::move(use));
  }

  void add_unused_secrets() {
    for (const auto& [name, secret] : snapshot_.secrets) {
      if (secret == nullptr || seen_.contains(secret.get())) continue;
      CertificateUse use;
      if (!secret->cert_chain.empty()) use.presented.push_back(secret.get());
      if (!secret->trust_bundle.empty()) use.trust = secret.get();
      add(std::move(use));
    }
  }

  std::vector<CertificateUse> take() { return std::move(uses_); }

 private:
  const TlsMaterial* find(const config::SecretRef& ref) const {
    return ref.material != nullptr ? ref.material.get() : config::find(snapshot_.secrets, ref.key());
  }

  void add(CertificateUse use) {
    if (use.presented.empty() && use.trust == nullptr) return;
    if (std::find(uses_.begin(), uses_.end(), use) != uses_.end()) return;
    seen_.insert(use.presented.begin(), use.presented.end());
    if (use.trust != nullptr) seen_.insert(use.trust);
    uses_.push_back(std::move(use));
  }

  const config::Snapshot& snapshot_;
  std::vector<CertificateUse> uses_;
  std::set<const TlsMaterial*> seen_;
};

}  // namespace

std::vector<CertificateUse> certificate_uses(const config::Snapshot& snapshot) {
  Collector collector(snapshot);
  for (const auto& [name, listener] : snapshot.listeners) {
    for (const auto& chain : listener->chains) collector.add(chain.tls.get());
    if (listener->default_chain) collector.add(listener->default_chain->tls.get());
  }
  for (const auto& [name, cluster] : snapshot.clusters) {
    collector.add(cluster->tls.get());
    for (const config::TransportSocketMatch& match : cluster->socket_matches) collector.add(match.tls.get());
  }
  collector.add_unused_secrets();
  return collector.take();
}

std::optional<int64_t> first_expiration(const config::Snapshot& snapshot) {
  std::optional<int64_t> first;
  const auto consider = [&first](const std::string& pem) {
    for (const net::CertificateInfo& info : net::describe_certificates(pem)) {
      if (!first || info.not_after < *first) first = info.not_after;
    }
  };
  std::set<const TlsMaterial*> presented, trusted;
  for (const CertificateUse& use : certificate_uses(snapshot)) {
    for (const TlsMaterial* one : use.presented) {
      if (presented.insert(one).second) consider(one->cert_chain);
    }
    if (use.trust != nullptr && trusted.insert(use.trust).second) consider(use.trust->trust_bundle);
  }
  return first;
}

uint64_t days_until(int64_t unix_seconds, int64_t now_us) {
  const int64_t left = unix_seconds - now_us / 1'000'000;
  return left <= 0 ? 0 : static_cast<uint64_t>(left / kDaySeconds);
}

}  // namespace pillion::admin
