// The Date header (RFC 9110 5.6.7), formatted once per second and worker.
#pragma once

#include <cstdint>
#include <ctime>
#include <string_view>

namespace pillion::downstream {

class DateCache {
 public:
  // "Tue, 24 Nov 2026 09:30:00 GMT"; valid until the next call.
  std::string_view at(int64_t wall_us) {
    const auto second = static_cast<time_t>(wall_us / 1'000'000);
    if (second != second_ || length_ == 0) {
      second_ = second;
      tm parts{};
      gmtime_r(&second, &parts);
      length_ = strftime(text_, sizeof(text_), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    }
    return {text_, length_};
  }

 private:
  time_t second_ = 0;
  size_t length_ = 0;
  char text_[32] = {};
};

}  // namespace pillion::downstream
