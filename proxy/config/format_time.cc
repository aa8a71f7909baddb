#include <array>
#include <charconv>
#include <ctime>

#include "proxy/config/format.h"

namespace pillion::config {
namespace {

constexpr int64_t kPerSecond = 1'000'000;

struct Time {
  std::tm calendar;
  int64_t seconds;
  int64_t nanoseconds;
};

Time split(int64_t wall_us) {
  Time t{};
  t.seconds = wall_us / kPerSecond;
  int64_t rest = wall_us % kPerSecond;
  if (rest < 0) {
    rest += kPerSecond;
    --t.seconds;
  }
  t.nanoseconds = rest * 1000;
  const std::time_t seconds = t.seconds;
  gmtime_r(&seconds, &t.calendar);
  return t;
}

void append_padded(int64_t n, size_t width, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n).ptr;
  const auto size = static_cast<size_t>(end - digits.data());
  if (size < width) out.append(width - size, '0');
  out.append(digits.data(), size);
}

void append_fraction(int64_t nanoseconds, size_t digits, std::string& out) {
  const size_t begin = out.size();
  append_padded(nanoseconds, 9, out);
  out.resize(begin + digits);
}

// Appends one conversion that begins at `rest[0] == '%'`, and returns its length.
size_t append_conversion(const Time& t, std::string_view rest, std::string& out) {
  const auto is_digit = [](char c) { return c >= '1' && c <= '9'; };
  const char c = rest.size() > 1 ? rest[1] : '\0';
  if (c == 'f') {
    append_fraction(t.nanoseconds, 9, out);
    return 2;
  }
  if (is_digit(c) && rest.size() > 2 && rest[2] == 'f') {
    append_fraction(t.nanoseconds, static_cast<size_t>(c - '0'), out);
    return 3;
  }
  if (c == 's') {
    append_padded(t.seconds, 0, out);
    return 2;
  }
  if (c == 'E' && rest.size() > 3 && is_digit(rest[2]) && rest[3] == 'S') {
    append_padded(t.calendar.tm_sec, 2, out);
    out += '.';
    append_fraction(t.nanoseconds, static_cast<size_t>(rest[2] - '0'), out);
    return 4;
  }
  const size_t length = c == '\0' ? 1 : 2;
  const std::string conversion(rest.substr(0, length));
  std::array<char, 64> buffer;
  out.append(buffer.data(), std::strftime(buffer.data(), buffer.size(), conversion.c_str(), &t.calendar));
  return length;
}

}  // namespace

void format_time(int64_t wall_us, std::string_view format, std::string& out) {
  if (format.empty()) format = "%Y-%m-%dT%H:%M:%E3SZ";
  const Time t = split(wall_us);
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      const std::string_view literal = format.substr(at, format.find('%', at) - at);
      out += literal;
      at += literal.size();
    } else {
      at += append_conversion(t, format.substr(at), out);
    }
  }
}

}  // namespace pillion::config
