#include "certs/verify.h"

#include <openssl/err.h>

#include "certs/encoding.h"

namespace pillion::certs {
namespace {

constexpr size_t kFingerprintDigits = 64;

struct FreeStackOnly {
  void operator()(STACK_OF(X509) * list) const noexcept { sk_X509_free(list); }  // The chain owns the certificates.
};
using CertStackPtr = std::unique_ptr<STACK_OF(X509), FreeStackOnly>;

CertStackPtr untrusted_part(const Chain& chain) {
  CertStackPtr stack{sk_X509_new_null()};
  for (size_t i = 1; stack != nullptr && i < chain.size(); ++i) {
    if (sk_X509_push(stack.get(), chain[i].get()) == 0) return nullptr;
  }
  return stack;
}

const char* role_name(PeerRole role) {
  return role == PeerRole::server ? "server" : "client";
}

// One sentence for what OpenSSL found, about the certificate at which it stopped.
std::string explain(X509_STORE_CTX& context, PeerRole role, const std::string& trust_domain) {
  const int code = X509_STORE_CTX_get_error(&context);
  const X509* at = X509_STORE_CTX_get_current_cert(&context);
  const int depth = X509_STORE_CTX_get_error_depth(&context);
  const std::string which = depth == 0 ? "the peer's certificate" : "a certificate above the peer's";
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return which + " expired at " + (at == nullptr ? "an unknown time" : utc_text(not_after(*at)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return which + " is not valid before " + (at == nullptr ? "an unknown time" : utc_text(not_before(*at)));
    case X509_V_ERR_INVALID_PURPOSE: return which + " may not be used by a " + role_name(role);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "the peer's certificate was not issued by a root of trust domain " + trust_domain;
    default: return which + " is refused: " + X509_verify_cert_error_string(code);
  }
}

Result<void> verify_signatures(X509_STORE& roots, const Chain& chain, PeerRole role, int64_t now,
                               const std::string& trust_domain) {
  const StoreContextPtr context{X509_STORE_CTX_new()};
  const CertStackPtr untrusted = untrusted_part(chain);
  if (context == nullptr || untrusted == nullptr ||
      X509_STORE_CTX_init(context.get(), &roots, chain.front().get(), untrusted.get()) != 1) {
    return failure("the chain cannot be verified: " + openssl_reason());
  }
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(context.get());
  const int purpose = role == PeerRole::server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT;
  if (X509_VERIFY_PARAM_set_purpose(param, purpose) != 1) {
    return failure("the chain cannot be verified: " + openssl_reason());
  }
  X509_VERIFY_PARAM_set_time(param, now);
  X509_VERIFY_PARAM_set_depth(param, kMaxVerifyDepth);
  X509_VERIFY_PARAM_set_auth_level(param, kMinSecurityLevel);
  const int verified = X509_verify_cert(context.get());
  ERR_clear_error();
  if (verified != 1) return failure(explain(*context, role, trust_domain));
  return {};
}

// X509-SVID sections 4.1 to 4.4 for leaves. The extended key usage must be there: its absence would mean "any use".
Result<void> check_leaf_profile(X509& leaf, PeerRole role) {
  const uint32_t flags = X509_get_extension_flags(&leaf);
  const uint32_t usage = (flags & EXFLAG_KUSAGE) != 0 ? X509_get_key_usage(&leaf) : 0;
  const uint32_t extended = (flags & EXFLAG_XKUSAGE) != 0 ? X509_get_extended_key_usage(&leaf) : 0;
  const uint32_t wanted = role == PeerRole::server ? XKU_SSL_SERVER : XKU_SSL_CLIENT;
  if ((flags & EXFLAG_CA) != 0) return failure("the peer's certificate is an authority's, not a workload's");
  if ((usage & KU_DIGITAL_SIGNATURE) == 0) return failure("the peer's certificate may not be used for signatures");
  if ((usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0) {
    return failure("the peer's certificate may sign certificates, so it is not a workload's");
  }
  if ((extended & wanted) == 0) {
    return failure(std::string("the peer's certificate does not say that it may be used by a ") + role_name(role));
  }
  return {};
}

}  // namespace

Result<Verifier> Verifier::make(std::string_view trust_domain, std::string_view bundle_pem) {
  if (auto ok = check_trust_domain(trust_domain); !ok) return failure_of(ok);
  auto roots = parse_certificates(bundle_pem, kMaxBundleCertificates);
  if (!roots) return failure("the trust bundle is not usable: " + roots.error().reason);
  StorePtr store{X509_STORE_new()};
  if (store == nullptr) return failure("the trust bundle is not usable: " + openssl_reason());
  for (const CertPtr& root : *roots) {
    if (X509_STORE_add_cert(store.get(), root.get()) != 1) {
      return failure("the trust bundle is not usable: " + openssl_reason());
    }
  }
  return Verifier(std::string(trust_domain), std::move(store));
}

Result<SpiffeId> Verifier::verify(const Chain& chain, PeerRole role, int64_t now) const {
  if (chain.empty()) return failure("the peer sent no certificate");
  if (chain.size() > kMaxChainCertificates) return failure("the peer sent too many certificates");
  if (auto ok = verify_signatures(*roots_, chain, role, now, trust_domain_); !ok) return failure_of(ok);
  if (auto ok = check_leaf_profile(*chain.front(), role); !ok) return failure_of(ok);
  auto id = spiffe_id_of(*chain.front());
  if (!id) return id;
  if (id->path().empty()) return failure("the peer's certificate names a trust domain, not a workload");
  if (id->trust_domain() != trust_domain_) {
    return failure("the peer is " + id->to_string() + ", which is not in trust domain " + trust_domain_);
  }
  return id;
}

Result<SpiffeId> Verifier::verify_pem(std::string_view chain_pem, PeerRole role, int64_t now) const {
  auto chain = parse_certificates(chain_pem);
  if (!chain) return failure("the peer's chain is not usable: " + chain.error().reason);
  return verify(*chain, role, now);
}

Result<SpiffeMatcher> SpiffeMatcher::exact(std::string_view spiffe_id) {
  auto id = SpiffeId::parse(spiffe_id);
  if (!id) return failure_of(id);
  return SpiffeMatcher(Kind::exact, id->to_string());
}

Result<SpiffeMatcher> SpiffeMatcher::in_trust_domain(std::string_view trust_domain) {
  if (auto ok = check_trust_domain(trust_domain); !ok) return failure_of(ok);
  return SpiffeMatcher(Kind::trust_domain, std::string(trust_domain));
}

Result<SpiffeMatcher> SpiffeMatcher::below(std::string_view spiffe_prefix) {
  if (spiffe_prefix.ends_with('/')) spiffe_prefix.remove_suffix(1);  // Both spellings are in use and mean the same.
  auto id = SpiffeId::parse(spiffe_prefix);
  if (!id) return failure_of(id);
  return SpiffeMatcher(Kind::prefix, id->to_string() + "/");
}

bool SpiffeMatcher::matches(const SpiffeId& id) const {
  switch (kind_) {
    case Kind::exact: return id.to_string() == value_;
    case Kind::trust_domain: return id.trust_domain() == value_;
    case Kind::prefix: return id.to_string().starts_with(value_);
  }
  return false;
}

Result<void> SpiffeMatcher::match(const SpiffeId& id) const {
  if (matches(id)) return {};
  const char* what = kind_ == Kind::exact ? "" : kind_ == Kind::prefix ? "a name below " : "a name in trust domain ";
  return failure("the peer is " + id.to_string() + ", expected was " + what + value_);
}

Result<void> match_any(std::span<const SpiffeMatcher> matchers, const SpiffeId& id) {
  if (matchers.empty()) return failure("the peer is " + id.to_string() + ", and nobody is allowed here");
  for (const SpiffeMatcher& matcher : matchers) {
    if (matcher.match(id)) return {};
  }
  if (matchers.size() == 1) return matchers.front().match(id);
  return failure("the peer is " + id.to_string() + ", which is none of the " + std::to_string(matchers.size()) +
                 " names expected here");
}

Result<FirstContact> verify_first_contact(const Chain& chain, std::string_view root_fingerprint,
                                          std::string_view trust_domain, int64_t now) {
  if (!is_lower_hex(root_fingerprint, kFingerprintDigits)) {
    return failure("the root's fingerprint is not 64 lower-case hexadecimal digits");
  }
  if (chain.size() > kMaxChainCertificates) return failure("the peer sent too many certificates");
  for (const CertPtr& cert : chain) {
    if (fingerprint(*cert) != root_fingerprint) continue;
    if (!is_self_signed(*cert)) return failure("the certificate with the expected fingerprint is not a root");
    std::string root_pem = to_pem(*cert);
    auto verifier = Verifier::make(trust_domain, root_pem);
    if (!verifier) return failure_of(verifier);
    auto server = verifier->verify(chain, PeerRole::server, now);
    if (!server) return failure_of(server);
    return FirstContact{.server = std::move(*server), .root_pem = std::move(root_pem)};
  }
  return failure("the server did not show the root that the join token names; it may be another control plane");
}

}  // namespace pillion::certs
