// The certificates of the configuration in force: of TLS contexts with the secrets they name, and of secrets that
// nothing names.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/config/snapshot.h"

namespace pillion::admin {

// What one TLS context, or several alike, presents and trusts.
struct CertificateUse {
  std::vector<const TlsMaterial*> presented;
  const TlsMaterial* trust = nullptr;
  friend bool operator==(const CertificateUse&, const CertificateUse&) = default;
};

// The pointers are owned by the snapshot. Uses that are the same are told once: in a mesh all clusters share one.
std::vector<CertificateUse> certificate_uses(const config::Snapshot& snapshot);

// Unix seconds; empty where there is no certificate.
std::optional<int64_t> first_expiration(const config::Snapshot& snapshot);

// Whole days, 0 when it is over.
uint64_t days_until(int64_t unix_seconds, int64_t now_us);

}  // namespace pillion::admin
