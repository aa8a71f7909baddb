// Judges the certificate of a peer by a config::ValidationContext, and says in plain sentences what is wrong with it.
// Immutable; shared by the connections of a context.
#pragma once

#include <openssl/x509.h>

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/tls.h"
#include "proxy/net/transport.h"

namespace pillion::net {

// A name from a certificate's subjectAltName. Names with a NUL in them are left out: nobody honest has one.
struct SanName {
  config::SanMatcher::Type type = config::SanMatcher::Type::any;
  std::string value;  // IP addresses as text
};
std::vector<SanName> san_names(X509* certificate);  // at most kSansMax
std::string first_uri_san(X509* certificate);
std::string sha256_hex(X509* certificate);
std::string subject_rfc2253(X509* certificate);
bool has_expired(X509* certificate);  // by the wall clock

// A DNS name against a name in a certificate, which may be a wildcard for exactly its first label (RFC 6125 6.4.3).
bool dns_name_matches(std::string_view pattern, std::string_view host);

class PeerJudge {
 public:
  static constexpr size_t kSansMax = 100;       // looked at per certificate
  static constexpr size_t kSansInSentence = 8;  // of a refused peer

  PeerJudge(config::ValidationContext config, bool has_trust) : config_(std::move(config)), has_trust_(has_trust) {}

  // Whether a verdict means anything: without trust and hashes any certificate passes and proves nothing.
  bool can_verify() const { return has_trust_ || !config_.certificate_hashes.empty(); }
  bool accepts_untrusted() const { return !config_.trust_chain_verification; }

  // Of the certificate that the store context holds; an error is the sentence for a log. `host` as in
  // ClientHandshakeOptions::verify_host.
  std::expected<void, std::string> judge(X509_STORE_CTX* store, std::string_view host) const;

 private:
  std::expected<void, std::string> judge_names(X509* certificate, std::string_view host) const;

  config::ValidationContext config_;
  bool has_trust_;
};

}  // namespace pillion::net
