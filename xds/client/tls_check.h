// Whether the TLS library takes what the configuration says, asked before anything of it is used: of the bootstrap, of
// what comes over ADS, and of secrets in files. The path of an error is the field in the resource; no secret is in it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/config_error.h"
#include "proxy/config/snapshot.h"
#include "xds/client/tls_wishes.h"

namespace pillion::xds::client {

class KnownSecrets {
 public:
  // What a reference with a name stands for now; null while that has not come.
  virtual std::shared_ptr<const TlsMaterial> find_secret(const config::SecretRef& ref) const = 0;

 protected:
  ~KnownSecrets() = default;
};

// The first fault in the contexts of a resource. Secrets that have not come are left out: they are checked when they
// come. A context that only names secrets, and sets nothing that the library could refuse, costs nothing.
std::optional<ConfigError> tls_fault(const config::Listener& listener, const KnownSecrets& known);
std::optional<ConfigError> tls_fault(const config::Cluster& cluster, const KnownSecrets& known);

// Of a secret by itself: "tls_certificate: the key does not belong to the certificate".
std::optional<ConfigError> tls_fault(const std::shared_ptr<const TlsMaterial>& material);

// A secret that fits none of its uses. Where it fits some of them it is good: the fault is with the others.
std::optional<ConfigError> misfit(std::string_view name, const TlsMaterial& material, const SecretWishes& wishes);

// A secret that holds both a certificate and roots (the proxy's own identity) fits every use.
bool fits(const TlsMaterial& material, SecretUse use);
std::string_view kind_name(SecretUse use);  // "tls_certificate", as the field of a Secret

// All faults of a bootstrap, as sentences: "listener web: filter_chains[0]…tls_certificates[0]: the key does not …".
std::vector<std::string> tls_faults(const config::Snapshot& config);

}  // namespace pillion::xds::client
