#include "xds/client/tls_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>

#include "proxy/net/tls.h"

namespace pillion::xds::client {
namespace {

constexpr size_t kAlpnBytesMax = 255;
constexpr int kTls12 = 0x0303;

using Materials = std::vector<std::shared_ptr<const TlsMaterial>>;

// Whether there is anything in the context itself that the library could refuse. What is named only is not: 10'000
// clusters that share two secrets are not to cost 10'000 contexts.
bool is_worth_asking(const config::TlsContext& tls) {
  const auto is_inline = [](const config::SecretRef& ref) { return ref.material != nullptr; };
  const auto is_odd = [](const std::string& alpn) { return alpn.empty() || alpn.size() > kAlpnBytesMax; };
  return !tls.ciphers.empty() || !tls.curves.empty() || tls.version_min < kTls12 || tls.certificates.size() > 1 ||
         is_inline(tls.validation.trust) || std::ranges::any_of(tls.certificates, is_inline) ||
         std::ranges::any_of(tls.alpn, is_odd);
}

SecretUse other(SecretUse use) {
  return use == SecretUse::certificate ? SecretUse::trust : SecretUse::certificate;
}

// Empty: it is taken.
std::string ask(const config::TlsContext& tls, const net::TlsSecrets& secrets, bool is_server) {
  if (is_server) {
    const auto made = net::make_server_context(tls, secrets);
    return made ? std::string() : made.error();
  }
  const auto made = net::make_client_context(tls, secrets);
  return made ? std::string() : made.error();
}

struct Said {
  std::string field;
  std::string reason;
};

// "tls_certificates[0]: the key does not belong to the certificate" in two.
Said split(const std::string& sentence) {
  const size_t colon = sentence.find(": ");
  if (colon == std::string::npos) return {"", sentence};
  return {sentence.substr(0, colon), sentence.substr(colon + 2)};
}

// The i-th certificate of a context: those that are inline come first.
std::string certificate_field(const config::TlsContext& tls, size_t i) {
  const bool named = !tls.certificates[i].name.empty();
  const auto is_named = [](const config::SecretRef& ref) { return !ref.name.empty(); };
  const auto begin = tls.certificates.begin();
  const auto before = static_cast<size_t>(std::count_if(begin, begin + static_cast<std::ptrdiff_t>(i), is_named));
  return named ? fmt::format("tls_certificate_sds_secret_configs[{}]", before)
               : fmt::format("tls_certificates[{}]", i - before);
}

std::string trust_field(const config::TlsContext& tls) {
  return tls.validation.trust.name.empty() ? "validation_context.trusted_ca" : "validation_context_sds_secret_config";
}

// One context: what its names stand for is looked up, then the library is asked.
class ContextCheck {
 public:
  ContextCheck(const config::TlsContext& tls, TlsPlace place, const KnownSecrets& known)
      : tls_(tls), place_(place), known_(known) {}

  std::optional<ConfigError> run() {
    for (size_t i = 0; i < tls_.certificates.size(); ++i) {
      const config::SecretRef& ref = tls_.certificates[i];
      auto material = find(ref);
      if (material == nullptr) continue;
      if (!fits(*material, SecretUse::certificate) && !ref.name.empty()) {
        return misfit(certificate_field(tls_, i), ref, SecretUse::certificate);
      }
      secrets_.certificates.push_back(std::move(material));
      origin_.push_back(i);
    }
    const config::SecretRef& trust = tls_.validation.trust;
    if (trust.is_set()) secrets_.trust = find(trust);
    if (secrets_.trust != nullptr && !fits(*secrets_.trust, SecretUse::trust) && !trust.name.empty()) {
      return misfit(trust_field(tls_), trust, SecretUse::trust);
    }
    if (!is_worth_asking(tls_)) return std::nullopt;
    return asked();
  }

 private:
  std::shared_ptr<const TlsMaterial> find(const config::SecretRef& ref) const {
    return ref.material != nullptr ? ref.material : known_.find_secret(ref);
  }

  ConfigError at(const std::string& field, std::string reason) const {
    return {"", 0, place_.to_string() + (field.empty() ? "" : "." + field), std::move(reason)};
  }

  ConfigError misfit(const std::string& field, const config::SecretRef& ref, SecretUse use) const {
    return at(field, fmt::format("the secret {} is a {}, and a {} is wanted here", ref.name, kind_name(other(use)),
                                 kind_name(use)));
  }

  std::optional<ConfigError> asked() const {
    config::TlsContext tls = tls_;
    if (tls.validation.trust.is_set() && secrets_.trust == nullptr) tls.has_validation = false;
    // A server is asked as a client while its only certificate is on its way.
    const std::string sentence = ask(tls, secrets_, place_.is_server() && !secrets_.certificates.empty());
    if (sentence.empty()) return std::nullopt;
    Said said = split(sentence);
    return at(field_of(said.field), std::move(said.reason));
  }

  // The library's side numbers the certificates that it was given.
  std::string field_of(const std::string& said) const {
    constexpr std::string_view kCertificates = "tls_certificates[";
    if (said == "validation_context.trusted_ca") return trust_field(tls_);
    if (!said.starts_with(kCertificates)) return said;
    size_t i = 0;
    std::from_chars(said.data() + kCertificates.size(), said.data() + said.size(), i);
    return i < origin_.size() ? certificate_field(tls_, origin_[i]) : said;
  }

  const config::TlsContext& tls_;
  const TlsPlace place_;
  const KnownSecrets& known_;
  net::TlsSecrets secrets_;
  std::vector<size_t> origin_;  // of each of secrets_.certificates, in tls_.certificates
};

template <class Resource>
std::vector<ConfigError> faults_in(const Resource& resource, const KnownSecrets& known, size_t max) {
  std::vector<ConfigError> out;
  for_each_tls(resource, [&](const config::TlsContext& tls, TlsPlace place) {
    if (out.size() >= max) return;
    if (auto fault = ContextCheck(tls, place, known).run()) out.push_back(std::move(*fault));
  });
  return out;
}

template <class Resource>
std::optional<ConfigError> first_fault(const Resource& resource, const KnownSecrets& known) {
  std::vector<ConfigError> faults = faults_in(resource, known, 1);
  if (faults.empty()) return std::nullopt;
  return std::move(faults.front());
}

// The secrets of a bootstrap that are good by themselves.
class StaticSecrets final : public KnownSecrets {
 public:
  StaticSecrets(const config::Snapshot& config, const std::set<std::string>& bad) : config_(config), bad_(bad) {}
  std::shared_ptr<const TlsMaterial> find_secret(const config::SecretRef& ref) const override {
    const auto found = config_.secrets.find(ref.name);
    return found == config_.secrets.end() || bad_.contains(ref.name) ? nullptr : found->second;
  }

 private:
  const config::Snapshot& config_;
  const std::set<std::string>& bad_;
};

}  // namespace

bool fits(const TlsMaterial& material, SecretUse use) {
  return use == SecretUse::trust ? !material.trust_bundle.empty() : !material.cert_chain.empty();
}

std::string_view kind_name(SecretUse use) {
  return use == SecretUse::trust ? "validation_context" : "tls_certificate";
}

std::optional<ConfigError> tls_fault(const config::Listener& listener, const KnownSecrets& known) {
  return first_fault(listener, known);
}

std::optional<ConfigError> tls_fault(const config::Cluster& cluster, const KnownSecrets& known) {
  return first_fault(cluster, known);
}

std::optional<ConfigError> tls_fault(const std::shared_ptr<const TlsMaterial>& material) {
  const bool has_certificate = fits(*material, SecretUse::certificate), has_trust = fits(*material, SecretUse::trust);
  if (!has_certificate && !has_trust) return ConfigError{"", 0, "", "there is no certificate in it"};
  config::TlsContext context;
  net::TlsSecrets secrets;
  if (has_certificate) {
    context.certificates.emplace_back().material = material;
    secrets.certificates.push_back(material);
  }
  if (has_trust) {
    context.validation.trust.material = material;
    context.has_validation = true;
    secrets.trust = material;
  }
  const std::string sentence = ask(context, secrets, false);
  if (sentence.empty()) return std::nullopt;
  Said said = split(sentence);
  if (said.field.starts_with("tls_certificates[")) said.field = kind_name(SecretUse::certificate);
  return ConfigError{"", 0, std::move(said.field), std::move(said.reason)};
}

std::optional<ConfigError> misfit(std::string_view name, const TlsMaterial& material, const SecretWishes& wishes) {
  const auto wish = wishes.find(name);
  if (wish == wishes.end()) return std::nullopt;
  const auto& [of_certificate, of_trust] = wish->second;
  const bool is_wanted = (fits(material, SecretUse::certificate) && !of_certificate.empty()) ||
                         (fits(material, SecretUse::trust) && !of_trust.empty());
  if (is_wanted || (of_certificate.empty() && of_trust.empty())) return std::nullopt;
  const SecretUse use = of_trust.empty() ? SecretUse::certificate : SecretUse::trust;
  return ConfigError{"", 0, std::string(kind_name(other(use))),
                     fmt::format("does not fit its use: {} wants a {} of this name",
                                 use == SecretUse::trust ? of_trust : of_certificate, kind_name(use))};
}

std::vector<std::string> tls_faults(const config::Snapshot& config) {
  std::vector<std::string> out;
  std::set<std::string> bad;
  constexpr size_t kAll = std::numeric_limits<size_t>::max();
  const auto tell = [&out](const char* kind, const std::string& name, ConfigError error) {
    error.file = kind + (" " + name);
    out.push_back(error.to_string());
  };
  for (const auto& [name, secret] : config.secrets) {
    if (auto fault = tls_fault(secret)) {
      bad.insert(name);
      tell("secret", name, std::move(*fault));
    }
  }
  const StaticSecrets known(config, bad);
  for (const auto& [name, listener] : config.listeners) {
    for (ConfigError& fault : faults_in(*listener, known, kAll)) tell("listener", name, std::move(fault));
  }
  for (const auto& [name, cluster] : config.clusters) {
    for (ConfigError& fault : faults_in(*cluster, known, kAll)) tell("cluster", name, std::move(fault));
  }
  return out;
}

}  // namespace pillion::xds::client
