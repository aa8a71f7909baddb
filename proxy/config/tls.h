// What a transport socket of type tls asks for. Contexts of the TLS library are made from it by worker/, once per
// version of the secrets it names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/base/tls_material.h"
#include "proxy/config/matcher.h"

namespace pillion::config {

// Inline material, or the name of a secret. A name without an SDS source means the proxy's own identity store.
struct SecretRef {
  std::string name;                             // "" = inline
  bool from_sds = false;                        // the name is subscribed to over SDS
  std::string sds_cluster;                      // the gRPC service of its own for it; empty: the ADS stream
  std::string sds_path;                         // path_config_source: the secret is read from this file,
  std::string sds_watched_directory;            // and again when something in this directory has moved
  Duration fetch_timeout{15'000'000};           // after which its user serves without it; zero: it waits for ever
  std::shared_ptr<const TlsMaterial> material;  // inline, or from files named in the bootstrap
  // Of what the name stands for, in Snapshot::secrets: two files may each have a secret of the same name.
  std::string key() const { return sds_path.empty() ? name : key_in_file(sds_path, name); }
  static std::string key_in_file(const std::string& path, const std::string& name) { return path + "#" + name; }
  bool is_set() const { return !name.empty() || material != nullptr; }
};

// ALPN id of HTTP/2 between two Pillions over mutual TLS, in which what HTTP/1 says and HTTP/2 cannot arrives unchanged
// (http/carry.h). Offered in front of "h2" and "http/1.1", which anybody else picks.
inline constexpr std::string_view kCarryAlpn = "pillion-h2";

struct SanMatcher {
  enum class Type : uint8_t { any, dns, uri, ip, email };
  Type type = Type::any;
  StringMatcher value;
};

struct ValidationContext {
  SecretRef trust;                              // trusted_ca
  std::vector<SanMatcher> sans;                 // any one suffices; empty = any identity under the trust bundle
  std::vector<std::string> certificate_hashes;  // verify_certificate_hash, lower-case hex without colons
  bool trust_chain_verification = true;         // false: ACCEPT_UNTRUSTED
};

struct TlsContext {
  std::vector<SecretRef> certificates;
  ValidationContext validation;
  bool has_validation = false;
  std::vector<std::string> alpn;
  int version_min = 0x0303;  // 0x0303 = TLS 1.2, 0x0304 = TLS 1.3
  int version_max = 0x0304;
  std::string ciphers;  // OpenSSL's spelling for 1.2; empty = defaults
  std::vector<std::string> curves;
  // downstream
  bool require_client_certificate = false;
  // upstream
  std::string sni;
  bool allow_renegotiation = false;
};

}  // namespace pillion::config
