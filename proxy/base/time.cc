#include "proxy/base/time.h"

#include <ctime>

#include <fmt/format.h>

namespace pillion {

Instant monotonic_now() {
  timespec ts{};
  clock_gettime(CLOCK_MONOTONIC, &ts);
  return Instant(Duration(int64_t{ts.tv_sec} * 1000000 + ts.tv_nsec / 1000));
}

int64_t wall_now_us() {
  timespec ts{};
  clock_gettime(CLOCK_REALTIME, &ts);
  return int64_t{ts.tv_sec} * 1000000 + ts.tv_nsec / 1000;
}

std::string format_rfc3339_ms(int64_t wall_us) {
  const time_t seconds = wall_us / 1000000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, wall_us / 1000 % 1000);
}

}  // namespace pillion
