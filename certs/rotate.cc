#include "certs/rotate.h"

#include <algorithm>
#include <utility>

namespace pillion::certs {

int64_t renewal_instant(int64_t issued_at, int64_t not_after, Random& random) {
  const auto lifetime = static_cast<double>(std::max<int64_t>(not_after - issued_at, 0));
  const double share = kRenewEarliest + (kRenewLatest - kRenewEarliest) * random.unit();
  return issued_at + static_cast<int64_t>(lifetime * share);
}

int64_t retry_instant(int failures, int64_t now, int64_t not_after, Random& random) {
  int64_t delay = kRetryFirstSeconds;
  for (int i = 1; i < failures && delay < kRetryMaxSeconds; ++i) delay *= 2;
  delay = std::min(delay, kRetryMaxSeconds);
  delay = delay / 2 + static_cast<int64_t>(random.below(static_cast<uint64_t>(delay - delay / 2) + 1));
  // After expiry nothing is left to wait for but the authority; the plain back-off holds then.
  if (const int64_t left = not_after - now; left > 0) delay = std::min(delay, left / 3);
  return now + std::max<int64_t>(delay, 1);
}

void RenewalSchedule::issued(int64_t issued_at, int64_t not_after, int64_t now, Random& random) {
  has_certificate_ = true;
  not_after_ = not_after;
  failures_ = 0;
  last_error_.clear();
  // Not at once, even if the instant has passed already: an authority that hands out certificates which are nearly
  // over would be asked in a loop.
  next_attempt_at_ = std::max(renewal_instant(issued_at, not_after, random), now + kRetryFirstSeconds);
}

void RenewalSchedule::failed(std::string reason, int64_t now, Random& random) {
  if (failures_ < 1000) ++failures_;  // Enough for any back-off; a counter that is shown should not overflow.
  last_error_ = std::move(reason);
  next_attempt_at_ = retry_instant(failures_, now, has_certificate_ ? not_after_ : now, random);
}

RenewalState RenewalSchedule::state(int64_t now) const {
  return RenewalState{.has_certificate = has_certificate_,
                      .expired = has_certificate_ && now >= not_after_,
                      .seconds_to_expiry = has_certificate_ ? not_after_ - now : 0,
                      .next_attempt_at = next_attempt_at_,
                      .failures = failures_,
                      .last_error = last_error_};
}

}  // namespace pillion::certs
