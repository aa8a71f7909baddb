// Messages from YAML, and errors as one text.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <string_view>

#include "xds/api/yaml.h"
#include "xds/translate/translate.h"

namespace pillion::xds::testing {

template <class Message>
Message read(std::string_view yaml) {
  Message message;
  const auto lines = load_text(yaml, "f.yaml", message);
  REQUIRE_MESSAGE(lines.has_value(),
                  (lines ? std::string() : lines.error().front().to_string() + "\n" + std::string(yaml)));
  return message;
}

// "path: reason"; "" where there is none.
template <class Result>
std::string error_of(const Result& result) {
  return result ? "" : result.error().to_string();
}

inline constexpr std::string_view kTypes = "type.googleapis.com/envoy.extensions.";

// `{"@type": …` without its end: fields may follow.
inline std::string typed(std::string_view type) {
  return "{\"@type\": " + std::string(kTypes) + std::string(type) + ", ";
}

struct BadCase {
  const char* yaml;
  const char* error;  // what the error must begin with
};

}  // namespace pillion::xds::testing
