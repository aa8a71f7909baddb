// How long certificates live.
#pragma once

#include <cstdint>

namespace pillion::certs {

constexpr int64_t kMaxLeafLifetimeSeconds = 24 * 60 * 60;                // No workload certificate lives longer.
constexpr int64_t kMinLeafLifetimeSeconds = 2;                           // Below, there is no time to renew it.
constexpr int64_t kRootLifetimeSeconds = int64_t{10} * 365 * 24 * 3600;  // A root that we make.
constexpr int64_t kNotBeforeSkewSeconds = 60;  // How far a workload's clock may be behind the authority's.

}  // namespace pillion::certs
