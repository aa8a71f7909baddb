// Putting a chain, its key and the roots together into what TLS uses, and refusing what would not work.
#pragma once

#include <cstdint>
#include <string>

#include "certs/result.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

// Checks that the key is the leaf's, that the leaf has one SPIFFE ID and is valid at `now` (unix seconds), and that the
// chain ends in the bundle for both roles: a peer with the same bundle would accept it. Fills in the times and the ID
// from the leaf. `version` stays 0; the store gives it.
Result<TlsMaterial> make_material(std::string cert_chain, std::string private_key, std::string trust_bundle,
                                  int64_t now);

}  // namespace pillion::certs
