#include "proxy/base/time.h"

#include <ctime>

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

}  // namespace pillion
