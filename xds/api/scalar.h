// Texts of YAML and JSON scalars into values, by proto3's JSON mapping. None where the text is not such a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pillion::xds {

struct Integer {
  bool negative = false;
  uint64_t magnitude = 0;
};

// Decimal; also a number with a point or an exponent whose value is whole ("2e2").
std::optional<Integer> parse_integer(std::string_view text);

// What an unquoted YAML scalar may be besides: hexadecimal (0xC8) and octal (0310).
std::optional<Integer> parse_plain_integer(std::string_view text);

// Also "NaN", "Infinity" and "-Infinity".
std::optional<double> parse_double(std::string_view text);

// YAML's words: true, yes, on, y and their opposites, in lower, upper or title case.
std::optional<bool> parse_yaml_bool(std::string_view text);

struct Seconds {
  int64_t seconds = 0;
  int32_t nanos = 0;  // Of the same sign.
};

// "1.5s": up to nine digits after the point, at most 10,000 years either way.
std::optional<Seconds> parse_duration(std::string_view text);

// Base64 in the standard or the URL alphabet, with or without padding.
std::optional<std::string> parse_base64(std::string_view text);

// The length of the longest prefix that is valid UTF-8.
size_t valid_utf8_prefix(std::string_view text);

// Whether two names are the same field, written as in the proto file or as in JSON (lb_policy, lbPolicy).
bool is_same_field(std::string_view a, std::string_view b);

}  // namespace pillion::xds
