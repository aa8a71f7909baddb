// SPIFFE identities: the names that certificates prove and policies speak of.
// SPIFFE-ID standard, section 2 (syntax) and X509-SVID standard, section 2 (where it is in a certificate).
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "certs/result.h"

typedef struct x509_st X509;

namespace pillion::certs {

constexpr size_t kMaxSpiffeIdBytes = 2048;    // SPIFFE-ID section 2.3.
constexpr size_t kMaxTrustDomainBytes = 255;  // SPIFFE-ID section 2.3.

// `spiffe://trust-domain/path`. Always valid: it can only be made by the functions below.
class SpiffeId {
 public:
  struct ServiceAccount {
    std::string_view name_space;
    std::string_view name;
  };

  // Refuses everything the standard refuses: another scheme or upper case in it, user info, port, query, fragment,
  // percent-encoding, empty, "." and ".." segments, a trailing slash. Errors never repeat the text they refuse.
  static Result<SpiffeId> parse(std::string_view uri);
  // `path` is empty (the trust domain itself) or starts with a slash.
  static Result<SpiffeId> make(std::string_view trust_domain, std::string_view path);
  // `spiffe://trust_domain/ns/name_space/sa/name`, the form that Istio and Kubernetes users know.
  static Result<SpiffeId> for_service_account(std::string_view trust_domain, std::string_view name_space,
                                              std::string_view name);

  const std::string& to_string() const { return uri_; }
  std::string_view trust_domain() const;
  std::string_view path() const;  // With its leading slash; empty for the trust domain itself.
  // The parts of `/ns/NS/sa/SA`; nothing if the path has another form. They point into this object.
  std::optional<ServiceAccount> service_account() const;

  auto operator<=>(const SpiffeId&) const = default;

 private:
  SpiffeId(std::string uri, size_t path_at) : uri_(std::move(uri)), path_at_(path_at) {}

  std::string uri_;
  size_t path_at_;  // Where the path starts in uri_; its size if there is none.
};

Result<void> check_trust_domain(std::string_view trust_domain);

// The identity in a certificate: its one URI SAN (X509-SVID section 2). Names of other types are not looked at, neither
// is the subject. Two URIs, none, a second SAN extension, or a NUL inside the name are errors.
Result<SpiffeId> spiffe_id_of(const X509& cert);

}  // namespace pillion::certs
