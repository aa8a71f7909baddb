// Judging a peer's certificate chain. Fails closed: no roots, no name, no matcher or no extended key usage is a
// refusal, and each refusal is a plain sentence that can stand in a log line.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "certs/openssl.h"
#include "certs/result.h"
#include "certs/spiffe.h"

namespace pillion::certs {

constexpr int kMaxVerifyDepth = 8;    // Intermediates between a leaf and its root.
constexpr int kMinSecurityLevel = 2;  // OpenSSL's level 2: 112 bits, no SHA-1 signatures, no RSA below 2048.

// What the peer acts as; its certificate must be meant for that.
enum class PeerRole : uint8_t { server, client };

// Verifies chains against the roots of one trust domain. Roots of a domain vouch for names in that domain only, so that
// federated domains cannot speak for each other. Immutable after construction; share it freely.
class Verifier {
 public:
  static Result<Verifier> make(std::string_view trust_domain, std::string_view bundle_pem);

  // `chain` has the leaf first. Checks, in this order: signatures up to a root, validity at `now` (unix seconds) of
  // every certificate, purpose and extended key usage, that the leaf is no authority, its one SPIFFE ID, its domain.
  Result<SpiffeId> verify(const Chain& chain, PeerRole role, int64_t now) const;
  Result<SpiffeId> verify_pem(std::string_view chain_pem, PeerRole role, int64_t now) const;

 private:
  Verifier(std::string trust_domain, StorePtr roots)
      : trust_domain_(std::move(trust_domain)), roots_(std::move(roots)) {}

  std::string trust_domain_;
  StorePtr roots_;
};

// Which identities are meant. An exact name, any name in a trust domain, or the names below a path.
class SpiffeMatcher {
 public:
  static Result<SpiffeMatcher> exact(std::string_view spiffe_id);
  static Result<SpiffeMatcher> in_trust_domain(std::string_view trust_domain);
  // Whole segments: "spiffe://mesh/ns/shop" has "spiffe://mesh/ns/shop/sa/web" below it, and not "…/ns/shopping/…".
  static Result<SpiffeMatcher> below(std::string_view spiffe_prefix);

  // The error says who was met and who was expected.
  Result<void> match(const SpiffeId& id) const;

 private:
  enum class Kind : uint8_t { exact, trust_domain, prefix };
  SpiffeMatcher(Kind kind, std::string value) : kind_(kind), value_(std::move(value)) {}
  bool matches(const SpiffeId& id) const;

  Kind kind_;
  std::string value_;
};

// At least one of them; an empty list matches nobody.
Result<void> match_any(std::span<const SpiffeMatcher> matchers, const SpiffeId& id);

// First contact with a control plane of which only the root's fingerprint is known, from a join token.
struct FirstContact {
  SpiffeId server;       // Who answered, proven by the root.
  std::string root_pem;  // The root, taken from the chain that the server sent.
};
// Accepts `chain` only if one of its certificates is a self-signed root with this fingerprint (SHA-256 of DER,
// lower-case hexadecimal) and the leaf, as a server of `trust_domain`, verifies against that root alone.
Result<FirstContact> verify_first_contact(const Chain& chain, std::string_view root_fingerprint,
                                          std::string_view trust_domain, int64_t now);

}  // namespace pillion::certs
