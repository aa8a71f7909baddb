#include "certs/spiffe.h"

#include <algorithm>

#include "certs/openssl.h"

namespace pillion::certs {
namespace {

constexpr std::string_view kScheme = "spiffe://";

bool is_trust_domain_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

bool is_path_char(char c) {
  return is_trust_domain_char(c) || (c >= 'A' && c <= 'Z');
}

Result<void> check_segment(std::string_view segment) {
  if (segment.empty()) return failure("the SPIFFE path has an empty segment or ends in a slash");
  if (segment == "." || segment == "..") return failure("the SPIFFE path has a \".\" or \"..\" segment");
  if (!std::ranges::all_of(segment, is_path_char)) {
    return failure("the SPIFFE path has a character other than letters, digits, '.', '-' and '_'");
  }
  return {};
}

Result<void> check_path(std::string_view path) {
  if (path.empty()) return {};
  if (path.front() != '/') return failure("the SPIFFE path does not start with a slash");
  path.remove_prefix(1);
  for (;;) {
    const size_t slash = path.find('/');
    if (auto ok = check_segment(path.substr(0, slash)); !ok) return ok;
    if (slash == std::string_view::npos) return {};
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

Result<void> check_trust_domain(std::string_view trust_domain) {
  if (trust_domain.empty()) return failure("the SPIFFE trust domain is empty");
  if (trust_domain.size() > kMaxTrustDomainBytes) return failure("the SPIFFE trust domain is longer than 255 bytes");
  if (!std::ranges::all_of(trust_domain, is_trust_domain_char)) {
    return failure("the SPIFFE trust domain has a character other than lower-case letters, digits, '.', '-' and '_'");
  }
  return {};
}

Result<SpiffeId> SpiffeId::parse(std::string_view uri) {
  if (uri.size() > kMaxSpiffeIdBytes) return failure("the SPIFFE ID is longer than 2048 bytes");
  if (!uri.starts_with(kScheme)) return failure("a SPIFFE ID starts with \"spiffe://\"");
  uri.remove_prefix(kScheme.size());
  const size_t slash = std::min(uri.find('/'), uri.size());
  return make(uri.substr(0, slash), uri.substr(slash));
}

Result<SpiffeId> SpiffeId::make(std::string_view trust_domain, std::string_view path) {
  if (auto ok = check_trust_domain(trust_domain); !ok) return failure_of(ok);
  if (auto ok = check_path(path); !ok) return failure_of(ok);
  std::string uri = std::string(kScheme) + std::string(trust_domain) + std::string(path);
  if (uri.size() > kMaxSpiffeIdBytes) return failure("the SPIFFE ID is longer than 2048 bytes");
  return SpiffeId(std::move(uri), kScheme.size() + trust_domain.size());
}

Result<SpiffeId> SpiffeId::for_service_account(std::string_view trust_domain, std::string_view name_space,
                                               std::string_view name) {
  // Checked one by one: a slash in a name would otherwise move the border between the parts.
  if (auto ok = check_segment(name_space); !ok) return failure_of(ok);
  if (auto ok = check_segment(name); !ok) return failure_of(ok);
  return make(trust_domain, "/ns/" + std::string(name_space) + "/sa/" + std::string(name));
}

std::string_view SpiffeId::trust_domain() const {
  return std::string_view(uri_).substr(kScheme.size(), path_at_ - kScheme.size());
}

std::string_view SpiffeId::path() const {
  return std::string_view(uri_).substr(path_at_);
}

std::optional<SpiffeId::ServiceAccount> SpiffeId::service_account() const {
  std::string_view rest = path();
  if (!rest.starts_with("/ns/")) return std::nullopt;
  rest.remove_prefix(4);
  const size_t slash = rest.find('/');
  if (slash == std::string_view::npos || !rest.substr(slash).starts_with("/sa/")) return std::nullopt;
  const std::string_view name = rest.substr(slash + 4);
  if (name.empty() || name.find('/') != std::string_view::npos) return std::nullopt;
  return ServiceAccount{.name_space = rest.substr(0, slash), .name = name};
}

Result<SpiffeId> spiffe_id_of(const X509& cert) {
  int status = 0;
  const NamesPtr names{static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&cert, NID_subject_alt_name, &status, nullptr))};
  if (names == nullptr) {
    if (status == -1) return failure("the certificate has no subject alternative name");
    if (status == -2) return failure("the certificate has more than one subject alternative name extension");
    return failure("the certificate's subject alternative name cannot be read: " + openssl_reason());
  }
  const ASN1_IA5STRING* uri = nullptr;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    if (uri != nullptr) return failure("the certificate has more than one URI name");
    uri = name->d.uniformResourceIdentifier;
  }
  if (uri == nullptr) return failure("the certificate has no URI name");
  if (ASN1_STRING_type(uri) != V_ASN1_IA5STRING) return failure("the certificate's URI name has the wrong type");
  // By its length, never as a C string: a NUL would hide what follows it (CVE-2025-66220 and its kin).
  const std::string_view text(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                              static_cast<size_t>(ASN1_STRING_length(uri)));
  if (text.find('\0') != std::string_view::npos) return failure("the certificate's URI name has a NUL in it");
  return SpiffeId::parse(text);
}

}  // namespace pillion::certs
