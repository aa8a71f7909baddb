// Writes JSON, indented as the admin pages of the xDS world are, or in one line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pillion::admin {

class JsonWriter {
 public:
  enum class Style : uint8_t { indented, one_line };
  explicit JsonWriter(Style style = Style::indented) : indented_(style == Style::indented) {}

  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& text(std::string_view value);
  JsonWriter& number(uint64_t value) { return raw(std::to_string(value)); }
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& raw(std::string_view json);  // a complete value

  JsonWriter& field(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, const char* value) { return key(name).text(value); }
  JsonWriter& field(std::string_view name, uint64_t value) { return key(name).number(value); }

  std::string take();

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  void new_line();
  void write_string(std::string_view value);

  const bool indented_;
  std::string out_;
  uint32_t depth_ = 0;
  bool first_ = true;  // nothing in the innermost bracket yet
  bool after_key_ = false;
};

}  // namespace pillion::admin
