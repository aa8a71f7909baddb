#include "xds/control/json_writer.h"

#include <fmt/format.h>

#include "xds/api/scalar.h"

namespace pillion::xds::control {

void JsonWriter::separate() {
  if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_.push_back(',');
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_.push_back(bracket);
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_.push_back(bracket);
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  quote(name);
  out_.push_back(':');
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  quote(value);
  return *this;
}

JsonWriter& JsonWriter::number(uint64_t value) {
  separate();
  out_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
  return *this;
}

// What a peer sent need not be UTF-8; a byte that is not becomes U+FFFD.
void JsonWriter::quote(std::string_view value) {
  out_.push_back('"');
  while (!value.empty()) {
    const size_t valid = valid_utf8_prefix(value);
    for (const char c : value.substr(0, valid)) {
      if (c == '"' || c == '\\')
        out_.append(1, '\\').append(1, c);
      else if (static_cast<unsigned char>(c) < 0x20)
        out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      else
        out_.push_back(c);
    }
    value.remove_prefix(valid);
    if (value.empty()) break;
    out_ += "\xef\xbf\xbd";
    value.remove_prefix(1);
  }
  out_.push_back('"');
}

}  // namespace pillion::xds::control
