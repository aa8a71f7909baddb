// Lines for the operator, on standard error: `2026-11-24T09:30:00.123Z info  [w1] listener web: bound 10.0.0.1:80`.
// Arguments are not evaluated when the level is off. What a peer can trigger goes through PILLION_LOG_LIMITED.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "proxy/base/time.h"

namespace pillion {

enum class LogLevel : uint8_t { trace, debug, info, warning, error, critical, off };

std::optional<LogLevel> parse_log_level(std::string_view name);  // Envoy's names; "warn" is taken too
std::string_view name_of(LogLevel level);

namespace log_internal {
extern std::atomic<LogLevel> level;
void write(LogLevel level, std::string_view text);
}  // namespace log_internal

inline bool log_enabled(LogLevel level) {
  return level >= log_internal::level.load(std::memory_order_relaxed);
}
inline LogLevel log_level() {
  return log_internal::level.load(std::memory_order_relaxed);
}
inline void set_log_level(LogLevel level) {
  log_internal::level.store(level, std::memory_order_relaxed);
}
void set_log_thread_name(std::string_view name);  // "main", "w1"; at most 15 bytes are kept

// Lets one line pass per interval, per place in the code and thread, and counts what it held back.
class LogLimiter {
 public:
  bool pass(Instant now, Duration interval) {
    if (last_.time_since_epoch().count() != 0 && now - last_ < interval) {
      ++held_back_;
      return false;
    }
    last_ = now;
    return true;
  }
  uint64_t take_held_back() {
    const uint64_t n = held_back_;
    held_back_ = 0;
    return n;
  }

 private:
  Instant last_{};
  uint64_t held_back_ = 0;
};

}  // namespace pillion

#define PILLION_LOG(lvl, ...)                                                               \
  do {                                                                                      \
    if (::pillion::log_enabled(::pillion::LogLevel::lvl)) [[unlikely]]                      \
      ::pillion::log_internal::write(::pillion::LogLevel::lvl, ::fmt::format(__VA_ARGS__)); \
  } while (0)

// `now` is the executor's time; at most one line a second from this place.
#define PILLION_LOG_LIMITED(lvl, now, ...)                                              \
  do {                                                                                  \
    if (::pillion::log_enabled(::pillion::LogLevel::lvl)) {                             \
      static thread_local ::pillion::LogLimiter limiter_;                               \
      if (limiter_.pass((now), ::pillion::Duration(1000000))) {                         \
        const uint64_t held_ = limiter_.take_held_back();                               \
        std::string text_ = ::fmt::format(__VA_ARGS__);                                 \
        if (held_ > 0) text_ += ::fmt::format(" ({} more like this held back)", held_); \
        ::pillion::log_internal::write(::pillion::LogLevel::lvl, text_);                \
      }                                                                                 \
    }                                                                                   \
  } while (0)
