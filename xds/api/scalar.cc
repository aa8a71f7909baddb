#include "xds/api/scalar.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

namespace pillion::xds {

namespace {

constexpr int64_t kMaxDurationSeconds = 315'576'000'000;  // google.protobuf.Duration: about 10,000 years.
constexpr size_t kMaxNanoDigits = 9;

template <class T>
std::optional<T> whole(std::string_view text, int base) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || stop != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  return out;
}

// How many bytes the UTF-8 sequence at the front of `text` has; 0 where it is not valid (RFC 3629, no surrogates).
size_t utf8_length(std::string_view text) {
  const auto at = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto follows = [&](size_t i, unsigned char from = 0x80, unsigned char to = 0xBF) {
    return i < text.size() && at(i) >= from && at(i) <= to;
  };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const unsigned char from = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned char to = first == 0xED ? 0x9F : 0xBF;
    return follows(1, from, to) && follows(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned char from = first == 0xF0 ? 0x90 : 0x80;
    const unsigned char to = first == 0xF4 ? 0x8F : 0xBF;
    return follows(1, from, to) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::optional<Integer> parse_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative ? 1 : 0);
  if (const auto value = whole<uint64_t>(digits, 10)) return Integer{negative && *value != 0, *value};
  const auto value = parse_double(text);
  if (!value || !std::isfinite(*value) || std::trunc(*value) != *value) return std::nullopt;
  if (std::fabs(*value) >= std::ldexp(1.0, 64)) return std::nullopt;
  return Integer{*value < 0, static_cast<uint64_t>(std::fabs(*value))};
}

std::optional<Integer> parse_plain_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  const std::string_view digits = text.substr(negative || text.starts_with('+') ? 1 : 0);
  std::optional<uint64_t> value;
  if (digits.starts_with("0x") || digits.starts_with("0X")) {
    value = whole<uint64_t>(digits.substr(2), 16);
  } else if (digits.size() > 1 && digits.starts_with('0')) {
    value = whole<uint64_t>(digits.substr(1), 8);
  } else {
    value = whole<uint64_t>(digits, 10);
  }
  if (value) return Integer{negative && *value != 0, *value};
  const bool leading_zero = digits.size() > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
  return leading_zero ? std::nullopt : parse_integer(text);
}

std::optional<double> parse_double(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<double>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  // from_chars would take "inf" and "nan" too.
  if (digits.empty() || !(digits[0] == '.' || (digits[0] >= '0' && digits[0] <= '9'))) return std::nullopt;
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> parse_yaml_bool(std::string_view text) {
  static constexpr std::array<std::string_view, 4> kTrue = {"y", "yes", "true", "on"};
  static constexpr std::array<std::string_view, 4> kFalse = {"n", "no", "false", "off"};
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  const size_t upper = static_cast<size_t>(std::count_if(text.begin(), text.end(), is_upper));
  const bool regular = upper == 0 || upper == text.size() || (upper == 1 && is_upper(text[0]));
  if (!regular || text.size() > 5) return std::nullopt;
  const std::string word = lower(text);
  if (word.size() != text.size()) return std::nullopt;
  if (std::find(kTrue.begin(), kTrue.end(), word) != kTrue.end()) return true;
  if (std::find(kFalse.begin(), kFalse.end(), word) != kFalse.end()) return false;
  return std::nullopt;
}

std::optional<Seconds> parse_duration(std::string_view text) {
  if (!text.ends_with('s')) return std::nullopt;
  text.remove_suffix(1);
  const int sign = text.starts_with('-') ? -1 : 1;
  if (sign < 0) text.remove_prefix(1);
  const size_t point = text.find('.');
  const auto seconds = whole<uint64_t>(text.substr(0, point), 10);
  if (!seconds || *seconds > kMaxDurationSeconds) return std::nullopt;
  uint32_t nanos = 0;
  if (point != std::string_view::npos) {
    const std::string_view digits = text.substr(point + 1);
    const auto fraction = whole<uint32_t>(digits, 10);
    if (!fraction || digits.size() > kMaxNanoDigits) return std::nullopt;
    nanos = *fraction;
    for (size_t i = digits.size(); i < kMaxNanoDigits; ++i) nanos *= 10;
  }
  return Seconds{sign * static_cast<int64_t>(*seconds), sign * static_cast<int32_t>(nanos)};
}

std::optional<std::string> parse_base64(std::string_view text) {
  for (int padding = 0; padding < 2 && text.ends_with('='); ++padding) text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string out;
  out.reserve(text.size() * 3 / 4);
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z')
      value = static_cast<uint32_t>(c - 'A');
    else if (c >= 'a' && c <= 'z')
      value = static_cast<uint32_t>(c - 'a') + 26;
    else if (c >= '0' && c <= '9')
      value = static_cast<uint32_t>(c - '0') + 52;
    else if (c == '+' || c == '-')
      value = 62;
    else if (c == '/' || c == '_')
      value = 63;
    else
      return std::nullopt;
    bits = bits << 6 | value;
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> count & 0xFF);
  }
  return out;
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t length = utf8_length(text.substr(at));
    if (length == 0) break;
    at += length;
  }
  return at;
}

bool is_same_field(std::string_view a, std::string_view b) {
  size_t i = 0;
  size_t j = 0;
  while (true) {
    while (i < a.size() && a[i] == '_') ++i;
    while (j < b.size() && b[j] == '_') ++j;
    if (i == a.size() || j == b.size()) return i == a.size() && j == b.size();
    const auto fold = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
    if (fold(a[i++]) != fold(b[j++])) return false;
  }
}

}  // namespace pillion::xds
