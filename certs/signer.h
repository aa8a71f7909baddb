// One signing certificate with its key: what the built-in authority signs with, apart from where it is kept.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "certs/openssl.h"
#include "certs/result.h"
#include "certs/spiffe.h"

namespace pillion::certs {

struct Signer {
  CertPtr cert;
  KeyPtr key;
  Chain intermediates;  // Sent behind each leaf: the signer itself and what is above it, unless it is a root.
};

// A new self-signed P-256 root for a trust domain, valid kRootLifetimeSeconds.
Result<Signer> make_root(std::string_view trust_domain, int64_t now);

// Key and certificate in one text, so that one file, and one rename, holds the pair. The caller wipes it.
Result<std::string> signer_to_pem(const Signer& signer);
// Reads it back and checks that the two belong together and that the certificate is an authority's.
Result<Signer> signer_from_pem(std::string_view cert_pem, std::string_view key_pem);

// Makes and signs a workload certificate for `public_key`. The lifetime is what remains after all caps. `hosts` are the
// names beside the identity by which clients that know no SPIFFE find a server.
Result<CertPtr> sign_leaf(const Signer& signer, EVP_PKEY& public_key, const SpiffeId& id,
                          std::span<const std::string> hosts, int64_t lifetime_seconds, int64_t now);

}  // namespace pillion::certs
