#include "tests/sim/clock.h"

namespace pillion {
namespace {

constexpr int64_t kEpochUs = 1'700'000'000'000'000;  // where the simulated wall clock begins
Instant current{};

}  // namespace

Instant monotonic_now() {
  return current;
}
int64_t wall_now_us() {
  return kEpochUs + current.time_since_epoch().count();
}

namespace sim {

void set_clock(Instant now) {
  current = now;
}

}  // namespace sim
}  // namespace pillion
