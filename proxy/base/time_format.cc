#include <ctime>

#include <fmt/format.h>

#include "proxy/base/time.h"

namespace pillion {

std::string format_rfc3339_ms(int64_t wall_us) {
  const time_t seconds = wall_us / 1000000;
  tm utc{};
  gmtime_r(&seconds, &utc);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                     utc.tm_hour, utc.tm_min, utc.tm_sec, wall_us / 1000 % 1000);
}

}  // namespace pillion
