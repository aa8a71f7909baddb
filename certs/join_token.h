// Join tokens: how a workload on a plain machine proves at first contact who it may be, and how it knows the control
// plane before it has a root. A person carries the token from `pillion token` to the workload.
//
//   pjt1.<base64url payload>.<base64url HMAC-SHA256 of everything before the last dot>
//
// The payload is text, one `name=value` per line in a fixed order: id, spiffe, exp, root, addr, once. The key of the
// MAC is in the control plane's state directory (token.key, 0600). A token is a secret until it has expired: no error
// and no log line repeats any part of it but its id.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "certs/result.h"
#include "certs/spiffe.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

constexpr size_t kMaxTokenBytes = 4096;
constexpr size_t kMaxAddressBytes = 262;  // A DNS name, a colon and a port.
constexpr int64_t kMaxTokenLifetimeSeconds = 30 * 24 * 60 * 60;
constexpr size_t kMaxUsedTokens = 4096;  // Single-use tokens remembered until they expire.

struct JoinToken {
  std::string id;                // 32 hexadecimal digits; may be logged.
  SpiffeId spiffe_id;            // Who its bearer may become, and nobody else.
  int64_t expires_at = 0;        // Unix seconds; valid before this instant.
  std::string root_fingerprint;  // SHA-256 of the root's DER form, hexadecimal: verify_first_contact() takes it.
  std::string address;           // The control plane, host:port or [v6]:port.
  bool single_use = false;
};

// The bearer's side: what the token says, without the key and so without proof. Whoever could alter it could as well
// have made it; the proof is that the control plane shows the root and accepts the token.
Result<JoinToken> read_join_token(std::string_view token);

// What is asked for when a token is made.
struct TokenRequest {
  SpiffeId spiffe_id;
  int64_t lifetime_seconds = 3600;  // 1 .. kMaxTokenLifetimeSeconds
  std::string root_fingerprint;
  std::string address;
  bool single_use = false;
};

// The control plane's side. `open` reads or makes the key; `pillion token` and the control plane share the directory.
class TokenIssuer {
 public:
  static Result<TokenIssuer> open(const std::string& state_dir, int64_t now);
  TokenIssuer(TokenIssuer&&) = default;
  TokenIssuer& operator=(TokenIssuer&&) = default;
  ~TokenIssuer() { wipe(key_); }

  Result<std::string> issue(const TokenRequest& request, int64_t now) const;
  // Whether the token is ours, unaltered, unexpired and, if it is for one use, unused. Changes nothing.
  Result<JoinToken> check(std::string_view token, int64_t now) const;
  // The same, and uses it up: after success a single-use token is refused until it has expired, also after a restart
  // (used-tokens in the state directory). If that cannot be written, or too many are remembered, it is refused.
  Result<JoinToken> redeem(std::string_view token, int64_t now);

 private:
  TokenIssuer(std::string used_path, std::string key) : used_path_(std::move(used_path)), key_(std::move(key)) {}
  Result<void> load_used(int64_t now);
  Result<void> remember(const JoinToken& token, int64_t now);

  std::string used_path_;
  std::string key_;                      // 32 bytes.
  std::map<std::string, int64_t> used_;  // Id to expiry; the same as in used_path_.
};

}  // namespace pillion::certs
