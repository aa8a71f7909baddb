#include "certs/signer.h"

#include <algorithm>

#include "certs/encoding.h"
#include "certs/lifetimes.h"
#include "certs/x509_build.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {
namespace {

constexpr int64_t kRootBackdateSeconds = 3600;  // A root must be valid before any leaf is, on every clock.
constexpr size_t kRootNameBytes = 4;            // Tells two roots of one domain apart in the subject.

bool set_root_name(X509& cert, std::string_view trust_domain, std::string_view unique) {
  X509_NAME* name = X509_get_subject_name(&cert);
  const auto add = [name](int nid, const std::string& value) {
    return X509_NAME_add_entry_by_NID(name, nid, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                                      static_cast<int>(value.size()), -1, 0) == 1;
  };
  // RFC 5280 allows 64 characters for an organization; the URI name below holds the whole domain.
  return add(NID_organizationName, std::string(trust_domain.substr(0, 64))) &&
         add(NID_commonName, "Pillion root " + std::string(unique)) && X509_set_issuer_name(&cert, name) == 1;
}

// The strongest statement a signer can make about itself; anything less is refused before it signs.
Result<void> check_signer(const Signer& signer) {
  X509* cert = signer.cert.get();
  if (X509_check_private_key(cert, signer.key.get()) != 1) {
    openssl_reason();
    return failure("the authority's key does not belong to its certificate");
  }
  if (X509_check_ca(cert) != 1)
    return failure("the authority's certificate is not an authority's (CA:TRUE is missing)");
  const uint32_t flags = X509_get_extension_flags(cert);
  if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(cert) & KU_KEY_CERT_SIGN) == 0) {
    return failure("the authority's certificate may not sign certificates (keyCertSign is missing)");
  }
  if (auto ok = check_key_policy(*signer.key, /*allow_rsa=*/true); !ok) {
    return failure("the authority's key is not usable: " + ok.error().reason);
  }
  return {};
}

}  // namespace

Result<Signer> make_root(std::string_view trust_domain, int64_t now) {
  auto id = SpiffeId::make(trust_domain, "");
  if (!id) return failure_of(id);
  auto key = make_p256_key();
  if (!key) return failure_of(key);
  auto unique = secure_random(kRootNameBytes);
  if (!unique) return failure_of(unique);
  CertPtr cert{X509_new()};
  const bool ok = cert != nullptr && X509_set_version(cert.get(), X509_VERSION_3) == 1 && set_random_serial(*cert) &&
                  set_root_name(*cert, trust_domain, hex_encode(*unique)) &&
                  set_validity(*cert, now - kRootBackdateSeconds, now + kRootLifetimeSeconds) &&
                  X509_set_pubkey(cert.get(), key->get()) == 1 && add_basic_constraints(*cert, /*is_authority=*/true) &&
                  add_key_usage(*cert, KU_KEY_CERT_SIGN | KU_CRL_SIGN) &&
                  add_uri_name(*cert, *id, /*critical=*/false) && add_key_identifiers(*cert, *cert) &&
                  X509_sign(cert.get(), key->get(), digest_for(**key)) > 0;
  if (ok) cert = read_anew(*cert);
  if (!ok || cert == nullptr) return failure("a root certificate cannot be made: " + openssl_reason());
  return Signer{.cert = std::move(cert), .key = std::move(*key), .intermediates = {}};
}

Result<std::string> signer_to_pem(const Signer& signer) {
  auto pem = private_key_to_pem(*signer.key);
  if (!pem) return pem;
  // Appending may move the text to a larger buffer; what is left behind is cleared first.
  std::string both;
  const std::string cert = to_pem(*signer.cert);
  both.reserve(pem->size() + cert.size());
  both.append(*pem).append(cert);
  wipe(*pem);
  return both;
}

Result<Signer> signer_from_pem(std::string_view cert_pem, std::string_view key_pem) {
  auto certs = parse_certificates(cert_pem);
  if (!certs) return failure_of(certs);
  auto key = parse_private_key(key_pem);
  if (!key) return failure_of(key);
  Signer signer{.cert = std::move(certs->front()), .key = std::move(*key), .intermediates = {}};
  if (auto ok = check_signer(signer); !ok) return failure_of(ok);
  return signer;
}

Result<CertPtr> sign_leaf(const Signer& signer, EVP_PKEY& public_key, const SpiffeId& id,
                          std::span<const std::string> hosts, int64_t lifetime_seconds, int64_t now) {
  X509* issuer = signer.cert.get();
  const int64_t end = std::min(now + lifetime_seconds, not_after(*issuer));
  if (end - now < kMinLeafLifetimeSeconds) {
    return failure("the authority's certificate expires at " + utc_text(not_after(*issuer)) +
                   ", nothing can be signed with it any more");
  }
  CertPtr cert{X509_new()};
  // The subject stays empty: the names are in the extension, which RFC 5280 section 4.2.1.6 then wants critical.
  const bool ok =
      cert != nullptr && X509_set_version(cert.get(), X509_VERSION_3) == 1 && set_random_serial(*cert) &&
      X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer)) == 1 &&
      set_validity(*cert, now - kNotBeforeSkewSeconds, end) && X509_set_pubkey(cert.get(), &public_key) == 1 &&
      add_basic_constraints(*cert, /*is_authority=*/false) && add_key_usage(*cert, KU_DIGITAL_SIGNATURE) &&
      add_client_and_server_use(*cert) && add_names(*cert, id, hosts, /*critical=*/true) &&
      add_key_identifiers(*cert, *issuer) && X509_sign(cert.get(), signer.key.get(), digest_for(*signer.key)) > 0;
  if (ok) cert = read_anew(*cert);
  if (!ok || cert == nullptr) return failure("the certificate cannot be signed: " + openssl_reason());
  return cert;
}

}  // namespace pillion::certs
