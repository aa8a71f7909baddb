// What a TLS endpoint needs to prove who it is and to judge its peers: one certificate, its key and the roots to trust.
// certs/ and xds/ make it, net/tls reads it; it is here so that neither has to see the other.
//
// It is built once and then shared as std::shared_ptr<const TlsMaterial>: a rotation publishes a new one, and
// connections that hold the old one keep it until they end, so that no rotation cuts a connection.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace pillion {

// Overwrites a secret in a way that the optimizer may not drop, its spare capacity included, and leaves it empty.
inline void wipe(std::string& secret) {
  secret.resize(secret.capacity());
  volatile char* bytes = secret.data();
  for (size_t i = 0; i < secret.size(); ++i) bytes[i] = 0;
  secret.clear();
}

struct TlsMaterial {
  std::string cert_chain;    // PEM, leaf first, then intermediates; the root is not part of it.
  std::string private_key;   // PEM (PKCS#8) of the leaf's key. Never logged; wiped on destruction.
  std::string trust_bundle;  // PEM, one or more roots. Several while a root is being rotated.
  std::string spiffe_id;     // The leaf's only URI SAN, `spiffe://trust-domain/path`.
  int64_t not_before = 0;    // Unix seconds, from the leaf. Backdated by the issuer for clocks that differ.
  int64_t not_after = 0;     // Unix seconds, from the leaf.
  uint64_t version = 0;      // Grows with each change in one process; 0 is "not published yet".
  // The files that these were read from, for people; empty where they came inline or over the network.
  std::string cert_chain_path, trust_bundle_path;

  // With a destructor of its own the struct is copied where it would be moved; each copy wipes itself.
  ~TlsMaterial() { wipe(private_key); }
};

}  // namespace pillion

// Prints what identifies the material and nothing that is secret; PEM is given by its size only.
template <>
struct fmt::formatter<pillion::TlsMaterial> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const pillion::TlsMaterial& m, Context& context) const {
    return fmt::format_to(context.out(),
                          "TlsMaterial(version={} spiffe_id={} not_before={} not_after={} cert_chain={}B "
                          "trust_bundle={}B private_key={})",
                          m.version, m.spiffe_id, m.not_before, m.not_after, m.cert_chain.size(), m.trust_bundle.size(),
                          m.private_key.empty() ? "none" : "redacted");
  }
};
