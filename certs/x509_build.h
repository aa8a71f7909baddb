// Typed building of certificates: extensions are made from structures, never from OpenSSL's configuration strings, so
// that no character of a name can mean something else there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "certs/openssl.h"
#include "certs/spiffe.h"

namespace pillion::certs {

struct FreeExtensions {
  void operator()(STACK_OF(X509_EXTENSION) * list) const noexcept {
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  }
};
using ExtensionsPtr = std::unique_ptr<STACK_OF(X509_EXTENSION), FreeExtensions>;

// Each adds one extension and returns false if OpenSSL could not; the reason is in its error queue.
bool add_uri_name(STACK_OF(X509_EXTENSION) & list, const SpiffeId& id, bool critical);
bool add_uri_name(X509& cert, const SpiffeId& id, bool critical);
// `hosts` are DNS names and IP addresses beside the one URI.
bool add_names(X509& cert, const SpiffeId& id, std::span<const std::string> hosts, bool critical);
bool add_basic_constraints(X509& cert, bool is_authority);  // An authority gets path length 0.
bool add_key_usage(X509& cert, uint32_t usage);             // KU_* bits of OpenSSL; critical.
bool add_client_and_server_use(X509& cert);                 // Extended key usage of a mesh workload.
bool add_key_identifiers(X509& cert, const X509& issuer);   // Subject and authority key identifier.

bool set_validity(X509& cert, int64_t not_before, int64_t not_after);  // Unix seconds.
bool set_random_serial(X509& cert);                                    // 159 random bits: positive in 20 octets.
// The certificate as a reader of its DER form sees it. OpenSSL remembers what it derived from extensions while they
// were still being added (whether the certificate is self-signed, its hash), so a finished one is read anew. Null on
// failure.
CertPtr read_anew(const X509& cert);
// SHA-256 for all but P-384, which gets SHA-384.
const EVP_MD* digest_for(const EVP_PKEY& key);

}  // namespace pillion::certs
