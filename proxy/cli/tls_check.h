// Whether the TLS library takes what the configuration says, asked before anything is served.
#pragma once

#include <string>
#include <vector>

#include "proxy/config/snapshot.h"

namespace pillion::cli {

// Sentences such as "listener web: filter_chains[0]: tls_certificates[0]: the key does not belong to the certificate".
// Contexts whose secrets are still to come are left out.
std::vector<std::string> tls_faults(const config::Snapshot& config);

}  // namespace pillion::cli
