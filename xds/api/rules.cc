#include "xds/api/rules.h"

#include <google/protobuf/message.h>
#include <re2/re2.h>

#include <algorithm>
#include <type_traits>

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// The ranges of google.protobuf.Duration, which the wire form does not enforce.
constexpr int64_t kMaxSeconds = 315'576'000'000;
constexpr int32_t kMaxNanos = 999'999'999;

// A duration as one number: 128 bits hold 10,000 years in nanoseconds.
using Nanos = __int128;

Nanos as_value(const pb::Duration& duration) {
  return static_cast<Nanos>(duration.seconds()) * 1'000'000'000 + duration.nanos();
}
template <class T>
T as_value(T number) {
  return number;
}

template <class T>
std::string as_text(const T& value) {
  if constexpr (std::is_same_v<T, pb::Duration>) {
    std::string text = std::to_string(value.seconds());
    if (value.nanos() != 0) text += '.' + std::to_string(1'000'000'000 + value.nanos()).substr(1);
    return text.erase(value.nanos() == 0 ? text.size() : text.find_last_not_of('0') + 1) + "s";
  } else if constexpr (std::is_floating_point_v<T>) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
  } else {
    return std::to_string(value);
  }
}

// const, lt, lte, gt, gte. Where the lower bound lies above the upper one, the values between them are excluded.
template <class T, class Rules>
Violation check_bounds(const T& value, const Rules& rules) {
  const auto v = as_value(value);
  if (rules.has_const_() && v != as_value(rules.const_())) return "must be " + as_text(rules.const_());
  const bool has_low = rules.has_gt() || rules.has_gte();
  const bool has_high = rules.has_lt() || rules.has_lte();
  const bool low_ok = rules.has_gt() ? v > as_value(rules.gt()) : !rules.has_gte() || v >= as_value(rules.gte());
  const bool high_ok = rules.has_lt() ? v < as_value(rules.lt()) : !rules.has_lte() || v <= as_value(rules.lte());
  const auto low = as_value(rules.has_gt() ? rules.gt() : rules.gte());
  const auto high = as_value(rules.has_lt() ? rules.lt() : rules.lte());
  const bool excluded_between = has_low && has_high && low > high;
  if (excluded_between ? low_ok || high_ok : low_ok && high_ok) return std::nullopt;
  std::string must = "must be ";
  if (has_low) must += rules.has_gt() ? "more than " + as_text(rules.gt()) : "at least " + as_text(rules.gte());
  if (has_low && has_high) must += excluded_between ? " or " : " and ";
  if (has_high) must += rules.has_lt() ? "less than " + as_text(rules.lt()) : "at most " + as_text(rules.lte());
  return must;
}

template <class T, class List>
bool is_in(const T& value, const List& list) {
  return std::any_of(list.begin(), list.end(), [&](const auto& one) { return as_value(one) == as_value(value); });
}

template <class T, class Rules>
Violation check_number(const T& value, const Rules& rules) {
  if (rules.ignore_empty() && value == 0) return std::nullopt;
  if (auto violation = check_bounds(value, rules)) return violation;
  if (rules.in_size() > 0 && !is_in(value, rules.in())) return "is not one of the values that are possible here";
  if (is_in(value, rules.not_in())) return "is a value that is not possible here";
  return std::nullopt;
}

template <class List>
std::string alternatives(const List& list) {
  std::string out;
  for (const std::string& one : list) out += (out.empty() ? "\"" : ", \"") + one + '"';
  return out;
}

std::string count_of(uint64_t count, const char* unit) {
  return std::to_string(count) + ' ' + unit + (count == 1 ? "" : "s");
}

size_t code_points(std::string_view text) {
  const auto starts_one = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), starts_one));
}

bool is_header_name(std::string_view text) {
  if (text.starts_with(':')) text.remove_prefix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return alphanumeric || std::string_view("!#$%&'*+,-.^_|~`").find(c) != std::string_view::npos;
  });
}

Violation check_header_text(std::string_view text, const validate::StringRules& rules) {
  if (!rules.strict()) {
    const bool ok = text.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos;
    return ok ? std::nullopt : Violation("must not hold line breaks or NUL");
  }
  if (rules.well_known_regex() == validate::HTTP_HEADER_NAME) {
    return is_header_name(text) ? std::nullopt : Violation("must be the name of an HTTP header");
  }
  const bool ok = std::none_of(text.begin(), text.end(),
                               [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F; });
  return ok ? std::nullopt : Violation("must not hold control characters");
}

// What the rules for texts and for bytes have in common; lengths are in bytes for both.
template <class Rules>
Violation check_content(std::string_view value, const Rules& rules) {
  if (rules.has_const_() && value != rules.const_()) return "must be \"" + rules.const_() + '"';
  if (rules.has_prefix() && !value.starts_with(rules.prefix())) return "must start with \"" + rules.prefix() + '"';
  if (rules.has_suffix() && !value.ends_with(rules.suffix())) return "must end with \"" + rules.suffix() + '"';
  if (rules.has_contains() && value.find(rules.contains()) == std::string_view::npos) {
    return "must contain \"" + rules.contains() + '"';
  }
  const auto is_value = [value](const std::string& one) { return one == value; };
  if (rules.in_size() > 0 && std::none_of(rules.in().begin(), rules.in().end(), is_value)) {
    return "must be one of " + alternatives(rules.in());
  }
  if (std::any_of(rules.not_in().begin(), rules.not_in().end(), is_value)) {
    return "must be none of " + alternatives(rules.not_in());
  }
  // Three fields of the API have a pattern, all short: compiling them each time is not worth a cache.
  if (rules.has_pattern() && !RE2::PartialMatch(re2::StringPiece(value.data(), value.size()), RE2(rules.pattern()))) {
    return "must match " + rules.pattern();
  }
  return std::nullopt;
}

Violation check_size(uint64_t size, const char* unit, std::optional<uint64_t> exact, uint64_t least,
                     std::optional<uint64_t> most) {
  if (exact && size != *exact) return "must be " + count_of(*exact, unit) + " long";
  if (size < least) return least == 1 ? "must not be empty" : "must be at least " + count_of(least, unit) + " long";
  if (most && size > *most) return "must be at most " + count_of(*most, unit) + " long";
  return std::nullopt;
}

std::optional<uint64_t> when(bool has, uint64_t value) {
  return has ? std::optional(value) : std::nullopt;
}

Violation check_string(std::string_view value, const validate::StringRules& rules) {
  if (rules.ignore_empty() && value.empty()) return std::nullopt;
  const bool counts_points = rules.has_len() || rules.has_min_len() || rules.has_max_len();
  if (counts_points) {
    if (auto violation = check_size(code_points(value), "character", when(rules.has_len(), rules.len()),
                                    rules.min_len(), when(rules.has_max_len(), rules.max_len()))) {
      return violation;
    }
  }
  if (auto violation = check_size(value.size(), "byte", when(rules.has_len_bytes(), rules.len_bytes()),
                                  rules.min_bytes(), when(rules.has_max_bytes(), rules.max_bytes()))) {
    return violation;
  }
  if (rules.has_not_contains() && value.find(rules.not_contains()) != std::string_view::npos) {
    return "must not contain \"" + rules.not_contains() + '"';
  }
  if (auto violation = check_content(value, rules)) return violation;
  return rules.has_well_known_regex() ? check_header_text(value, rules) : std::nullopt;
}

Violation check_bytes(std::string_view value, const validate::BytesRules& rules) {
  if (rules.ignore_empty() && value.empty()) return std::nullopt;
  if (auto violation = check_size(value.size(), "byte", when(rules.has_len(), rules.len()), rules.min_len(),
                                  when(rules.has_max_len(), rules.max_len()))) {
    return violation;
  }
  return check_content(value, rules);
}

Violation check_enum(int value, const pb::EnumDescriptor& type, const validate::EnumRules& rules) {
  const auto name = [&type](int number) {
    const auto* known = type.FindValueByNumber(number);
    return known == nullptr ? std::to_string(number) : known->name();
  };
  if (rules.has_const_() && value != rules.const_()) return "must be " + name(rules.const_());
  if (rules.defined_only() && type.FindValueByNumber(value) == nullptr) {
    return std::to_string(value) + " is not a value of " + type.full_name();
  }
  if (rules.in_size() > 0 && !is_in(value, rules.in())) return name(value) + " is not possible here";
  if (is_in(value, rules.not_in())) return name(value) + " is not possible here";
  return std::nullopt;
}

}  // namespace

Violation check_scalar(const pb::Message& message, const Field& field, int index, const validate::FieldRules& rules) {
  using Rules = validate::FieldRules;
  const pb::Reflection& r = *message.GetReflection();
  const auto get = [&](auto one, auto repeated) {
    return index < 0 ? (r.*one)(message, &field) : (r.*repeated)(message, &field, index);
  };
  const auto i32 = [&] { return get(&pb::Reflection::GetInt32, &pb::Reflection::GetRepeatedInt32); };
  const auto i64 = [&] { return get(&pb::Reflection::GetInt64, &pb::Reflection::GetRepeatedInt64); };
  const auto u32 = [&] { return get(&pb::Reflection::GetUInt32, &pb::Reflection::GetRepeatedUInt32); };
  const auto u64 = [&] { return get(&pb::Reflection::GetUInt64, &pb::Reflection::GetRepeatedUInt64); };
  std::string scratch;
  const auto text = [&]() -> std::string_view {
    return index < 0 ? r.GetStringReference(message, &field, &scratch)
                     : r.GetRepeatedStringReference(message, &field, index, &scratch);
  };
  switch (rules.type_case()) {
    case Rules::kFloat:
      return check_number(get(&pb::Reflection::GetFloat, &pb::Reflection::GetRepeatedFloat), rules.float_());
    case Rules::kDouble:
      return check_number(get(&pb::Reflection::GetDouble, &pb::Reflection::GetRepeatedDouble), rules.double_());
    case Rules::kInt32: return check_number(i32(), rules.int32());
    case Rules::kInt64: return check_number(i64(), rules.int64());
    case Rules::kUint32: return check_number(u32(), rules.uint32());
    case Rules::kUint64: return check_number(u64(), rules.uint64());
    case Rules::kSint32: return check_number(i32(), rules.sint32());
    case Rules::kSint64: return check_number(i64(), rules.sint64());
    case Rules::kFixed32: return check_number(u32(), rules.fixed32());
    case Rules::kFixed64: return check_number(u64(), rules.fixed64());
    case Rules::kSfixed32: return check_number(i32(), rules.sfixed32());
    case Rules::kSfixed64: return check_number(i64(), rules.sfixed64());
    case Rules::kBool: {
      const bool wanted = rules.bool_().const_();
      const bool value = get(&pb::Reflection::GetBool, &pb::Reflection::GetRepeatedBool);
      if (!rules.bool_().has_const_() || value == wanted) return std::nullopt;
      return wanted ? "must be true" : "must be false";
    }
    case Rules::kString: return check_string(text(), rules.string());
    case Rules::kBytes: return check_bytes(text(), rules.bytes());
    case Rules::kEnum:
      return check_enum(get(&pb::Reflection::GetEnumValue, &pb::Reflection::GetRepeatedEnumValue), *field.enum_type(),
                        rules.enum_());
    default: return std::nullopt;  // Rules for messages and lists: validate.cc.
  }
}

Violation check_duration(const pb::Duration& value, const validate::DurationRules& rules) {
  if (auto violation = check_bounds(value, rules)) return violation;
  if (rules.in_size() > 0 && !is_in(value, rules.in())) return "is not one of the durations that are possible here";
  if (is_in(value, rules.not_in())) return "is a duration that is not possible here";
  // No rule says so, but no field of the API means anything by it, and Envoy refuses both.
  if (value.seconds() < 0 || value.nanos() < 0) return "must not be negative";
  if (value.nanos() > kMaxNanos || value.seconds() > kMaxSeconds) return "is not a duration";
  return std::nullopt;
}

Violation check_any(std::string_view type_url, const validate::AnyRules& rules) {
  const auto is_url = [type_url](const std::string& one) { return one == type_url; };
  if (rules.in_size() > 0 && std::none_of(rules.in().begin(), rules.in().end(), is_url)) {
    return "must hold one of " + alternatives(rules.in());
  }
  if (std::any_of(rules.not_in().begin(), rules.not_in().end(), is_url)) {
    return "must hold none of " + alternatives(rules.not_in());
  }
  return std::nullopt;
}

}  // namespace pillion::xds
