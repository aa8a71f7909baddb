#include "proxy/net/tls_peer.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "proxy/base/address.h"
#include "proxy/base/time.h"
#include "proxy/net/tls_openssl.h"

namespace pillion::net {
namespace {

using config::SanMatcher;

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string ip_text(const ASN1_OCTET_STRING* value) {
  const unsigned char* bytes = ASN1_STRING_get0_data(value);
  if (ASN1_STRING_length(value) == 4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::copy_n(bytes, 4, reinterpret_cast<unsigned char*>(&v4.sin_addr));
    return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&v4)).value_or(Address()).ip();
  }
  if (ASN1_STRING_length(value) == 16) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    std::copy_n(bytes, 16, reinterpret_cast<unsigned char*>(&v6.sin6_addr));
    return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&v6)).value_or(Address()).ip();
  }
  return {};
}

std::optional<SanName> name_of(const GENERAL_NAME& name) {
  const auto text = [](const ASN1_STRING* s) {
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(s)),
                       static_cast<size_t>(ASN1_STRING_length(s)));
  };
  SanName out;
  switch (name.type) {
    case GEN_URI: out = {SanMatcher::Type::uri, text(name.d.uniformResourceIdentifier)}; break;
    case GEN_DNS: out = {SanMatcher::Type::dns, text(name.d.dNSName)}; break;
    case GEN_EMAIL: out = {SanMatcher::Type::email, text(name.d.rfc822Name)}; break;
    case GEN_IPADD: out = {SanMatcher::Type::ip, ip_text(name.d.iPAddress)}; break;
    default: return std::nullopt;
  }
  if (out.value.empty() || out.value.find('\0') != std::string::npos) return std::nullopt;
  return out;
}

bool san_matches(const SanMatcher& matcher, const SanName& name) {
  if (matcher.type != SanMatcher::Type::any && matcher.type != name.type) return false;
  if (name.type == SanMatcher::Type::dns && matcher.value.kind == config::StringMatcher::Kind::exact) {
    return dns_name_matches(name.value, matcher.value.text);
  }
  return matcher.value.matches(name.value);
}

std::string names_text(const std::vector<SanName>& names) {
  if (names.empty()) return "it has none";
  constexpr std::array kPrefixes = {"", "DNS:", "URI:", "IP:", "email:"};
  std::string out = "it has ";
  for (size_t i = 0; i < names.size(); ++i) {
    if (i == PeerJudge::kSansInSentence) return out + fmt::format(" and {} more", names.size() - i);
    if (i > 0) out += ", ";
    out += kPrefixes[static_cast<size_t>(names[i].type)];
    for (const char c : names[i].value) out += c >= ' ' && c < 0x7f ? c : '?';  // it goes to a log
  }
  return out;
}

std::string time_text(const ASN1_TIME* time) {
  tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "unreadable";
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string name_text(const X509_NAME* name) {  // RFC 2253
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (bio == nullptr || X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253) < 0) return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

std::string chain_sentence(X509_STORE_CTX* store) {
  const int error = X509_STORE_CTX_get_error(store);
  X509* at = X509_STORE_CTX_get_current_cert(store);
  const bool is_leaf = X509_STORE_CTX_get_error_depth(store) == 0;
  const std::string whose = is_leaf || at == nullptr
                                ? "the peer's certificate"
                                : fmt::format("the certificate of {} in the peer's chain", subject_rfc2253(at));
  if (at != nullptr && error == X509_V_ERR_CERT_HAS_EXPIRED) {
    return fmt::format("{} has expired (notAfter {})", whose, time_text(X509_get0_notAfter(at)));
  }
  if (at != nullptr && error == X509_V_ERR_CERT_NOT_YET_VALID) {
    return fmt::format("{} is not valid yet (notBefore {})", whose, time_text(X509_get0_notBefore(at)));
  }
  if (at != nullptr &&
      (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
       error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)) {
    return fmt::format("{} was issued by {}, which is not in the trust bundle", whose,
                       name_text(X509_get_issuer_name(at)));
  }
  return fmt::format("{} is not trusted: {}", whose, X509_verify_cert_error_string(error));
}

}  // namespace

std::string take_openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  if (code == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(code);
  std::string out = reason != nullptr ? reason : fmt::format("error {:#x}", code);
  ERR_clear_error();
  return out;
}

std::vector<SanName> san_names(X509* certificate) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::vector<SanName> out;
  if (names == nullptr) return out;
  const int count = std::min<int>(sk_GENERAL_NAME_num(names.get()), PeerJudge::kSansMax);
  for (int i = 0; i < count; ++i) {
    if (auto name = name_of(*sk_GENERAL_NAME_value(names.get(), i))) out.push_back(std::move(*name));
  }
  return out;
}

std::string first_uri_san(X509* certificate) {
  for (SanName& name : san_names(certificate)) {
    if (name.type == SanMatcher::Type::uri) return std::move(name.value);
  }
  return {};
}

std::string sha256_hex(X509* certificate) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (X509_digest(certificate, EVP_sha256(), digest.data(), &size) != 1) return {};
  std::string out;
  out.reserve(size * 2);
  for (unsigned i = 0; i < size; ++i) {
    out += "0123456789abcdef"[digest[i] >> 4];
    out += "0123456789abcdef"[digest[i] & 15];
  }
  return out;
}

std::string subject_rfc2253(X509* certificate) {
  return name_text(X509_get_subject_name(certificate));
}

bool has_expired(X509* certificate) {
  time_t now = static_cast<time_t>(wall_now_us() / 1'000'000);
  return X509_cmp_time(X509_get0_notAfter(certificate), &now) <= 0;
}

bool dns_name_matches(std::string_view pattern, std::string_view host) {
  if (equal_without_case(pattern, host)) return true;
  if (!pattern.starts_with("*.")) return false;
  const size_t dot = host.find('.');
  if (dot == 0 || dot == std::string_view::npos) return false;
  const std::string_view rest = pattern.substr(1);
  return rest.find('.', 1) != std::string_view::npos && equal_without_case(rest, host.substr(dot));
}

std::expected<void, std::string> PeerJudge::judge(X509_STORE_CTX* store, std::string_view host) const {
  X509* leaf = X509_STORE_CTX_get0_cert(store);
  if (leaf == nullptr) return std::unexpected("the peer sent no certificate");
  if (has_trust_ && X509_verify_cert(store) != 1) {
    std::string sentence = chain_sentence(store);
    ERR_clear_error();
    return std::unexpected(std::move(sentence));
  }
  if (!config_.certificate_hashes.empty()) {
    const std::string hash = sha256_hex(leaf);
    if (std::ranges::find(config_.certificate_hashes, hash) == config_.certificate_hashes.end()) {
      return std::unexpected(fmt::format("the peer's certificate has the hash {}, which is not an accepted one", hash));
    }
  }
  return judge_names(leaf, host);
}

std::expected<void, std::string> PeerJudge::judge_names(X509* certificate, std::string_view host) const {
  if (config_.sans.empty() && host.empty()) return {};
  const std::vector<SanName> names = san_names(certificate);
  if (!config_.sans.empty()) {
    const bool matches = std::ranges::any_of(config_.sans, [&](const SanMatcher& matcher) {
      return std::ranges::any_of(names, [&](const SanName& name) { return san_matches(matcher, name); });
    });
    if (!matches) return std::unexpected("no SAN of the peer matches; " + names_text(names));
  }
  if (host.empty()) return {};
  const std::optional<Address> ip = Address::parse_ip(host, 0);
  const bool is_host = std::ranges::any_of(names, [&](const SanName& name) {
    if (ip) return name.type == SanMatcher::Type::ip && name.value == ip->ip();
    return name.type == SanMatcher::Type::dns && dns_name_matches(name.value, host);
  });
  if (!is_host) return std::unexpected(fmt::format("no SAN of the peer is {}; {}", host, names_text(names)));
  return {};
}

}  // namespace pillion::net
