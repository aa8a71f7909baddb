#include "xds/api/scalar_field.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <udpa/annotations/sensitive.pb.h>

#include <cmath>
#include <limits>
#include <vector>

#include "xds/api/nearest.h"
#include "xds/api/scalar.h"

namespace pillion::xds {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

constexpr size_t kMaxShown = 60;
constexpr int kMaxNamesListed = 8;

template <class T, class Set, class Add>
void put(pb::Message& out, const Field& field, T value, Set set, Add add) {
  const pb::Reflection& reflection = *out.GetReflection();
  if (field.is_repeated()) {
    (reflection.*add)(&out, &field, std::move(value));
  } else {
    (reflection.*set)(&out, &field, std::move(value));
  }
}

std::optional<Integer> integer(std::string_view text, bool quoted) {
  return quoted ? parse_integer(text) : parse_plain_integer(text);
}

template <class T>
std::optional<T> integer_in_range(std::string_view text, bool quoted) {
  const auto value = integer(text, quoted);
  if (!value) return std::nullopt;
  if (value->negative) {
    const uint64_t lowest = std::is_signed_v<T> ? uint64_t{1} << (sizeof(T) * 8 - 1) : 0;
    if (value->magnitude > lowest) return std::nullopt;
    return static_cast<T>(0 - value->magnitude);
  }
  if (value->magnitude > static_cast<uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return static_cast<T>(value->magnitude);
}

template <class T, class Set, class Add>
bool store_integer(std::string_view text, bool quoted, const Field& field, pb::Message& out, Set set, Add add) {
  const auto value = integer_in_range<T>(text, quoted);
  if (value) put(out, field, *value, set, add);
  return value.has_value();
}

std::optional<double> real(std::string_view text, bool quoted) {
  if (const auto value = parse_double(text)) return value;
  const auto value = integer(text, quoted);
  if (!value) return std::nullopt;
  return (value->negative ? -1.0 : 1.0) * static_cast<double>(value->magnitude);
}

bool store_enum(std::string_view text, bool quoted, const Field& field, pb::Message& out) {
  const pb::EnumDescriptor& type = *field.enum_type();
  const pb::EnumValueDescriptor* value = type.FindValueByName(std::string(text));
  for (int i = 0; value == nullptr && i < type.value_count(); ++i) {
    if (is_same_field(type.value(i)->name(), text)) value = type.value(i);
  }
  // A number without a name is kept: constraints say whether that is possible here.
  const auto number = value != nullptr ? value->number() : integer_in_range<int32_t>(text, quoted);
  if (number) put(out, field, *number, &pb::Reflection::SetEnumValue, &pb::Reflection::AddEnumValue);
  return number.has_value();
}

std::string enum_hint(std::string_view text, const pb::EnumDescriptor& type) {
  std::vector<std::string_view> names;
  for (int i = 0; i < type.value_count(); ++i) names.push_back(type.value(i)->name());
  if (const auto near = nearest(text, names)) return "; did you mean " + std::string(*near) + "?";
  if (type.value_count() > kMaxNamesListed) return {};
  std::string out = "; it is one of";
  for (size_t i = 0; i < names.size(); ++i) out.append(i == 0 ? " " : ", ").append(names[i]);
  return out;
}

// Text that YAML means as a number or a boolean is refused, as Envoy does: it is most often put into the wrong field.
bool is_text(std::string_view text, bool quoted) {
  if (quoted) return true;
  if (parse_yaml_bool(text)) return false;
  const auto number = parse_plain_integer(text);
  const bool whole = text.find_first_of(".eE") == std::string_view::npos || text.starts_with("0x");
  return !(number && whole && number->magnitude <= static_cast<uint64_t>(std::numeric_limits<int32_t>::max()));
}

std::optional<bool> boolean(std::string_view text, bool quoted) {
  if (!quoted) return parse_yaml_bool(text);
  if (text == "true") return true;
  return text == "false" ? std::optional(false) : std::nullopt;
}

bool store(std::string_view text, bool quoted, const Field& field, pb::Message& out) {
  using R = pb::Reflection;
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32: return store_integer<int32_t>(text, quoted, field, out, &R::SetInt32, &R::AddInt32);
    case Field::CPPTYPE_INT64: return store_integer<int64_t>(text, quoted, field, out, &R::SetInt64, &R::AddInt64);
    case Field::CPPTYPE_UINT32: return store_integer<uint32_t>(text, quoted, field, out, &R::SetUInt32, &R::AddUInt32);
    case Field::CPPTYPE_UINT64: return store_integer<uint64_t>(text, quoted, field, out, &R::SetUInt64, &R::AddUInt64);
    case Field::CPPTYPE_ENUM: return store_enum(text, quoted, field, out);
    case Field::CPPTYPE_MESSAGE: return false;
    case Field::CPPTYPE_DOUBLE:
    case Field::CPPTYPE_FLOAT: {
      const auto value = real(text, quoted);
      if (!value) return false;
      if (field.cpp_type() == Field::CPPTYPE_DOUBLE) {
        put(out, field, *value, &R::SetDouble, &R::AddDouble);
        return true;
      }
      if (std::isfinite(*value) && std::fabs(*value) > std::numeric_limits<float>::max()) return false;
      put(out, field, static_cast<float>(*value), &R::SetFloat, &R::AddFloat);
      return true;
    }
    case Field::CPPTYPE_BOOL: {
      const auto value = boolean(text, quoted);
      if (value) put(out, field, *value, &R::SetBool, &R::AddBool);
      return value.has_value();
    }
    case Field::CPPTYPE_STRING: {
      if (field.type() == Field::TYPE_BYTES) {
        auto value = parse_base64(text);
        if (value) put(out, field, std::move(*value), &R::SetString, &R::AddString);
        return value.has_value();
      }
      if (!is_text(text, quoted)) return false;
      put(out, field, std::string(text), &R::SetString, &R::AddString);
      return true;
    }
  }
  return false;
}

template <class T>
std::string number_in_range() {
  return "a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
         std::to_string(std::numeric_limits<T>::max());
}

std::string type_in_words(const Field& field) {
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32: return number_in_range<int32_t>();
    case Field::CPPTYPE_INT64: return number_in_range<int64_t>();
    case Field::CPPTYPE_UINT32: return number_in_range<uint32_t>();
    case Field::CPPTYPE_UINT64: return number_in_range<uint64_t>();
    case Field::CPPTYPE_DOUBLE:
    case Field::CPPTYPE_FLOAT: return "a number";
    case Field::CPPTYPE_BOOL: return "true or false";
    case Field::CPPTYPE_ENUM: return "a name of " + field.enum_type()->full_name();
    case Field::CPPTYPE_MESSAGE: return "a map of fields";
    case Field::CPPTYPE_STRING: return field.type() == Field::TYPE_BYTES ? "bytes in base64" : "a text";
  }
  return {};
}

}  // namespace

std::string quoted_for_error(std::string_view text) {
  const std::string_view shown = text.substr(0, text.size() <= kMaxShown ? text.size() : kMaxShown);
  std::string out = "\"";
  for (const char c : shown.substr(0, valid_utf8_prefix(shown))) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
  }
  return out + (shown.size() < text.size() ? "...\"" : "\"");
}

std::string wanted(const Field& field) {
  return "expected " + type_in_words(field);
}

std::optional<std::string> store_scalar(std::string_view text, bool quoted, const Field& field, pb::Message& out) {
  if (store(text, quoted, field, out)) return std::nullopt;
  const bool hidden = field.type() == Field::TYPE_BYTES || field.options().GetExtension(udpa::annotations::sensitive);
  std::string problem = wanted(field);
  if (hidden) return problem + " (what is written is not shown: it may be a secret)";
  if (field.cpp_type() == Field::CPPTYPE_STRING) {
    return problem + "; write it in quotes: \"" + std::string(text.substr(0, kMaxShown)) + "\"";
  }
  problem += ", got " + quoted_for_error(text);
  if (field.cpp_type() == Field::CPPTYPE_ENUM) problem += enum_hint(text, *field.enum_type());
  return problem;
}

}  // namespace pillion::xds
