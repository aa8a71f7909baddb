// Certificate signing requests: how a workload asks (its key never leaves it) and how an authority reads what it is
// sent.
#pragma once

#include <string>
#include <string_view>

#include "certs/openssl.h"
#include "certs/result.h"
#include "certs/spiffe.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

constexpr size_t kMaxCsrBytes = 16 * 1024;  // PEM; a request for a P-384 key with the longest SPIFFE ID is below 4 KiB.

struct KeyAndCsr {
  std::string private_key;  // PEM (PKCS#8), P-256. Wiped on destruction.
  std::string csr;          // PEM.
  ~KeyAndCsr() { wipe(private_key); }
};

// A new P-256 key and a request for `id`. The name in it is for the reader of logs only: the authority decides itself.
Result<KeyAndCsr> make_key_and_csr(const SpiffeId& id);

// The same with a key that lives in `key_path` (mode 0600): it is made on first use and kept from then on.
Result<KeyAndCsr> make_csr_with_key_file(const std::string& key_path, const SpiffeId& id);

// Reads a request of unknown origin: size, exactly one PEM block, key policy (P-256 or P-384), and the signature that
// proves that the sender has the private key. What is left to use is the public key; everything else is ignored.
Result<KeyPtr> public_key_of_csr(std::string_view csr_pem);

}  // namespace pillion::certs
