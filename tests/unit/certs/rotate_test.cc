#include "certs/rotate.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace pillion;
using namespace pillion::certs;

namespace {
constexpr int64_t kNow = 1'800'000'000;
}

TEST_CASE("rotate: renewal is spread over 50 to 80 percent of the life, and the seed decides") {
  Random random(1);
  int64_t earliest = INT64_MAX;
  int64_t latest = 0;
  for (int i = 0; i < 2000; ++i) {
    const int64_t at = renewal_instant(kNow, kNow + 10000, random) - kNow;
    earliest = std::min(earliest, at);
    latest = std::max(latest, at);
  }
  CHECK(earliest >= 5000);
  CHECK(earliest < 5100);
  CHECK(latest > 7900);
  CHECK(latest <= 8000);
  Random a(7);
  Random b(7);
  CHECK(renewal_instant(kNow, kNow + 86400, a) == renewal_instant(kNow, kNow + 86400, b));
  CHECK(renewal_instant(kNow, kNow, random) == kNow);
  CHECK(renewal_instant(kNow, kNow - 5, random) == kNow);
}

TEST_CASE("rotate: failures back off with jitter, are bounded, and fit into what is left") {
  Random random(3);
  const int64_t far = kNow + 1'000'000;
  for (int failures = 1; failures < 40; ++failures) {
    CAPTURE(failures);
    const int64_t full =
        failures > 9 ? kRetryMaxSeconds : std::min<int64_t>(int64_t{1} << (failures - 1), kRetryMaxSeconds);
    for (int i = 0; i < 20; ++i) {
      const int64_t delay = retry_instant(failures, kNow, far, random) - kNow;
      CHECK(delay >= std::max<int64_t>(full / 2, 1));
      CHECK(delay <= full);
    }
  }
  // From half of a life to its end there is always one more try, until no second is left.
  int64_t now = kNow;
  const int64_t end = kNow + 600;
  int tries = 0;
  while (now < end - 3) {
    now = retry_instant(++tries, now, end, random);
    REQUIRE(now < end);
  }
  CHECK(tries >= 8);
  CHECK(retry_instant(30, end + 1, end, random) - end - 1 >= kRetryMaxSeconds / 2);
}

TEST_CASE("rotate: the state says how long there is left, never silently past expiry") {
  Random random(5);
  RenewalSchedule schedule;
  CHECK(schedule.due(0));
  CHECK_FALSE(schedule.state(kNow).has_certificate);
  schedule.failed("the control plane cannot be reached", kNow, random);
  CHECK_FALSE(schedule.due(kNow));
  CHECK(schedule.due(kNow + 1));
  CHECK(schedule.state(kNow).failures == 1);
  CHECK_FALSE(schedule.state(kNow).expired);

  schedule.issued(kNow, kNow + 100, kNow, random);
  CHECK(schedule.state(kNow).failures == 0);
  CHECK(schedule.state(kNow).last_error.empty());
  CHECK(schedule.state(kNow).seconds_to_expiry == 100);
  CHECK_FALSE(schedule.due(kNow + 49));
  CHECK(schedule.due(kNow + 80));

  schedule.failed("refused", kNow + 80, random);
  const RenewalState state = schedule.state(kNow + 101);
  CHECK(state.expired);
  CHECK(state.seconds_to_expiry == -1);
  CHECK(state.last_error == "refused");
  CHECK(schedule.due(kNow + 101));
}

TEST_CASE("rotate: a certificate that is nearly over is renewed soon, but not in a loop") {
  Random random(5);
  RenewalSchedule schedule;
  schedule.issued(kNow - 1000, kNow + 2, kNow, random);
  CHECK_FALSE(schedule.due(kNow));
  CHECK(schedule.due(kNow + 1));
}
