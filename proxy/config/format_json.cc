#include <algorithm>

#include "proxy/config/format.h"

namespace pillion::config {
namespace {

// The length of the UTF-8 sequence at the front of `s` (RFC 3629), 0 where there is none.
size_t utf8_length(std::string_view s) {
  const auto byte = [s](size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                        : first >= 0xe0 && first <= 0xef ? 3
                        : first >= 0xf0 && first <= 0xf4 ? 4
                                                         : 0;
  if (length == 0 || s.size() < length) return 0;
  // Overlong forms, surrogates and what is above U+10FFFF show in the second byte.
  const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

bool is_utf8(std::string_view s) {
  while (!s.empty()) {
    const size_t length = utf8_length(s);
    if (length == 0) return false;
    s.remove_prefix(length);
  }
  return true;
}

void append_escape(unsigned char c, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

void append_short_escape(char c, std::string& out) {
  switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\b': out += "\\b"; break;
    case '\f': out += "\\f"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: append_escape(static_cast<unsigned char>(c), out);
  }
}

bool needs_escape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

void append_string(std::string_view s, std::string& out) {
  out += '"';
  const bool text = is_utf8(s);
  for (const char c : s) {
    if (!text && (needs_escape(c) || static_cast<unsigned char>(c) >= 0x80)) {
      append_escape(static_cast<unsigned char>(c), out);
    } else if (needs_escape(c)) {
      append_short_escape(c, out);
    } else {
      out += c;
    }
  }
  out += '"';
}

class JsonWriter {
 public:
  JsonWriter(const FormatSource& source, bool omit_empty, std::string& out)
      : source_(source), omit_empty_(omit_empty), out_(out) {}

  // False where there were no fields to write, and nothing was written.
  bool append_fields(const std::vector<JsonFormat::Field>& fields, bool is_list, bool is_root) {
    const size_t begin = out_.size();
    out_ += is_list ? '[' : '{';
    bool first = true;
    for (const JsonFormat::Field& field : fields) {
      const size_t before = out_.size();
      if (!first) out_ += ',';
      if (!is_list) {
        append_string(field.key, out_);
        out_ += ':';
      }
      if (append_field(field)) {
        first = false;
      } else {
        out_.resize(before);
      }
    }
    if (first && omit_empty_ && !is_root) {
      out_.resize(begin);
      return false;
    }
    out_ += is_list ? ']' : '}';
    return true;
  }

 private:
  bool append_field(const JsonFormat::Field& field) {
    if (field.value) return append_leaf(*field.value);
    if (field.raw.empty()) return append_fields(field.children, field.is_list, false);
    if (field.raw == "null") return append_null();
    out_ += field.raw;
    return true;
  }

  bool append_null() {
    if (!omit_empty_) out_ += "null";
    return !omit_empty_;
  }

  bool append_leaf(const Format& format) {
    value_.clear();
    const bool is_single = format.ops.size() == 1 && format.ops.front().kind != FormatOp::Kind::literal;
    if (!is_single) {
      render(format, source_, omit_empty_ ? "" : "-", value_);
      append_string(value_, out_);
      return true;
    }
    if (!append_value(format.ops.front(), source_, value_)) return append_null();
    const bool digits = !value_.empty() && std::ranges::all_of(value_, [](char c) { return c >= '0' && c <= '9'; });
    if (is_number(format.ops.front()) && digits) {
      out_ += value_;
    } else {
      append_string(value_, out_);
    }
    return true;
  }

  const FormatSource& source_;
  const bool omit_empty_;
  std::string& out_;
  std::string value_;
};

}  // namespace

void render_json(const JsonFormat& format, const FormatSource& source, bool omit_empty, std::string& out) {
  JsonWriter(source, omit_empty, out).append_fields(format.fields, false, true);
  out += '\n';
}

}  // namespace pillion::config
