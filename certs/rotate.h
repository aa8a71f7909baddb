// When to renew a certificate. Pure: the instant and the randomness come in, so that a test needs no waiting.
//
//           renew_at, or the retry's instant
//   waiting ──────────────────────────────────► due ──► the caller asks the authority
//      ▲                                         ▲ (also before the first certificate)
//      └── issued(): until 50 to 80 % of its life; failed(): until the retry ── from either
#pragma once

#include <cstdint>
#include <string>

#include "proxy/base/random.h"

namespace pillion::certs {

constexpr double kRenewEarliest = 0.5;     // Of the lifetime. Spread over a range, so that workloads that were
constexpr double kRenewLatest = 0.8;       // started together do not come back together.
constexpr int64_t kRetryFirstSeconds = 1;  // Doubled with each failure.
constexpr int64_t kRetryMaxSeconds = 300;

// A random point between 50 % and 80 % of the time from issue to expiry. All in unix seconds.
int64_t renewal_instant(int64_t issued_at, int64_t not_after, Random& random);

// When to try again after the `failures`-th failure in a row (1 or more): exponential, half of it random, and never
// more than a third of the time that is left, so that several tries fit in before expiry.
int64_t retry_instant(int failures, int64_t now, int64_t not_after, Random& random);

struct RenewalState {
  bool has_certificate = false;
  bool expired = false;           // has_certificate, and its time is over: peers refuse it now.
  int64_t seconds_to_expiry = 0;  // Negative once it has expired; 0 without a certificate.
  int64_t next_attempt_at = 0;    // Unix seconds; 0 is at once.
  int failures = 0;               // In a row, since the last success.
  std::string last_error;         // Of the last failure; empty after a success.
};

class RenewalSchedule {
 public:
  // A certificate has come. `now` may be long after `issued_at` (read from disk after a restart).
  void issued(int64_t issued_at, int64_t not_after, int64_t now, Random& random);
  void failed(std::string reason, int64_t now, Random& random);

  bool due(int64_t now) const { return now >= next_attempt_at_; }
  RenewalState state(int64_t now) const;

 private:
  bool has_certificate_ = false;
  int64_t not_after_ = 0;
  int64_t next_attempt_at_ = 0;
  int failures_ = 0;
  std::string last_error_;
};

}  // namespace pillion::certs
