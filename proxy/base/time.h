// The only place that reads a clock. Everything above takes the time as a value from its executor, so that the
// simulator can be the clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace pillion {

using Duration = std::chrono::microseconds;
using namespace std::chrono_literals;

// A monotonic clock that cannot be asked: its time points come from monotonic_now() or from the simulator.
struct Monotonic {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Monotonic, Duration>;
  static constexpr bool is_steady = true;
};
using Instant = Monotonic::time_point;

Instant monotonic_now();
int64_t wall_now_us();  // microseconds since the Unix epoch

// 2026-11-24T09:30:00.123Z
std::string format_rfc3339_ms(int64_t wall_us);

inline int64_t to_ms(Duration d) {
  return d.count() / 1000;
}

}  // namespace pillion
