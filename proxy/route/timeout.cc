#include "proxy/route/timeout.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "proxy/http/validate.h"

namespace pillion::route {
namespace {

using http::HeaderId;

constexpr Duration kMillisecond{1'000};
// Longer times are as good as none, and their microseconds would not fit.
constexpr int64_t kLongestMs = int64_t{1} << 50;

// Milliseconds of a header; none where it is absent or no number.
std::optional<Duration> take_ms(HeaderId id, bool trusted, http::RequestHead& head) {
  const http::Header* const found = head.headers.find(id);
  if (found == nullptr) return std::nullopt;
  std::string_view text = found->value;
  head.headers.remove(id);
  if (!trusted) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  const std::optional<uint64_t> ms = http::parse_decimal(text);
  if (!ms) return std::nullopt;
  return std::min<int64_t>(static_cast<int64_t>(*ms), kLongestMs) * kMillisecond;
}

std::string_view with_unit(int64_t n, std::string_view unit, Arena& arena) {
  std::array<char, 24> digits;
  const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
  return arena.concat({{digits.data(), static_cast<size_t>(end - digits.data())}, unit});
}

// The header has at most eight digits; what needs a larger unit is rounded up to it.
std::string_view as_grpc_timeout(Duration d, Arena& arena) {
  struct Unit {
    int64_t ms;
    std::string_view letter;
  };
  static constexpr std::array<Unit, 4> kUnits = {{{1, "m"}, {1000, "S"}, {60'000, "M"}, {3'600'000, "H"}}};
  constexpr int64_t kDigitsMax = 99'999'999;
  int64_t n = 0;
  std::string_view letter;
  for (const Unit& unit : kUnits) {
    n = (to_ms(d) + unit.ms - 1) / unit.ms;
    letter = unit.letter;
    if (n <= kDigitsMax) break;
  }
  return with_unit(std::min(n, kDigitsMax), letter, arena);
}

void set_grpc_timeout(Duration d, http::RequestHead& head) {
  head.headers.set(HeaderId::grpc_timeout, as_grpc_timeout(d, head.headers.arena()));
}

// What one try may take, or the request where tries have no time of their own.
Duration expected(const Timeouts& timeouts) {
  return timeouts.per_try > Duration::zero() ? timeouts.per_try : timeouts.request;
}

bool has_stream_duration(const config::RouteAction& action) {
  return action.max_stream_duration.has_value() || action.grpc_timeout_header_max.has_value();
}

// grpc_timeout_header_max: the header is a duration of the stream, and that is what the endpoint hears.
void hold_stream_to_header(Duration header, Duration limit, Timeouts& timeouts, http::RequestHead& head) {
  if (limit > Duration::zero()) header = std::min(header, limit);
  // A deadline that has passed is not the absence of one.
  timeouts.max_stream = std::max(header, kMillisecond);
  set_grpc_timeout(*timeouts.max_stream, head);
}

}  // namespace

std::optional<Duration> parse_grpc_timeout(std::string_view value) {
  constexpr size_t kDigitsMax = 8;
  if (value.size() < 2 || value.size() > kDigitsMax + 1) return std::nullopt;
  const std::optional<uint64_t> number = http::parse_decimal(value.substr(0, value.size() - 1));
  if (!number) return std::nullopt;
  const auto n = static_cast<int64_t>(*number);
  switch (value.back()) {
    case 'H': return n * 3600 * 1000 * kMillisecond;
    case 'M': return n * 60 * 1000 * kMillisecond;
    case 'S': return n * 1000 * kMillisecond;
    case 'm': return n * kMillisecond;
    case 'u': return (n + 999) / 1000 * kMillisecond;
    case 'n': return (n + 999'999) / 1'000'000 * kMillisecond;
    default: return std::nullopt;
  }
}

Timeouts take_timeouts(const config::RouteAction& action, const config::RetryPolicy* policy, bool trusted,
                       http::RequestHead& head) {
  Timeouts timeouts;
  timeouts.max_stream = action.max_stream_duration;
  if (policy != nullptr) {
    timeouts.per_try = policy->per_try_timeout;
    timeouts.per_try_idle = policy->per_try_idle_timeout;
  }
  const bool is_grpc = http::is_grpc(head.headers);
  const std::optional<Duration> grpc =
      is_grpc ? parse_grpc_timeout(head.headers.get(HeaderId::grpc_timeout)) : std::nullopt;
  if (has_stream_duration(action)) {
    if (grpc && action.grpc_timeout_header_max) {
      hold_stream_to_header(*grpc, *action.grpc_timeout_header_max, timeouts, head);
    }
  } else if (is_grpc && action.max_grpc_timeout) {
    const Duration limit = *action.max_grpc_timeout;
    timeouts.request = grpc.value_or(Duration::zero());
    if (limit > Duration::zero() && (timeouts.request == Duration::zero() || timeouts.request > limit)) {
      timeouts.request = limit;
    }
    timeouts.rewrites_grpc_timeout = true;
  } else {
    timeouts.request = action.timeout;
  }
  if (const auto ms = take_ms(HeaderId::x_envoy_upstream_rq_timeout_ms, trusted, head)) timeouts.request = *ms;
  if (const auto ms = take_ms(HeaderId::x_envoy_upstream_rq_per_try_timeout_ms, trusted, head)) timeouts.per_try = *ms;
  if (timeouts.request > Duration::zero() && timeouts.per_try >= timeouts.request) timeouts.per_try = Duration::zero();
  return timeouts;
}

void tell_timeout(const Timeouts& timeouts, Duration elapsed, http::RequestHead& head) {
  Duration left = expected(timeouts);
  if (left <= Duration::zero()) return;
  if (timeouts.request > Duration::zero()) left = std::min(left, timeouts.request - elapsed);
  left = std::max(left, kMillisecond);
  head.headers.set(HeaderId::x_envoy_expected_rq_timeout_ms, with_unit(to_ms(left), "", head.headers.arena()));
  if (timeouts.rewrites_grpc_timeout) set_grpc_timeout(left, head);
}

}  // namespace pillion::route
