#include "proxy/downstream/access_log.h"

#include <algorithm>

#include "proxy/downstream/format_values.h"

namespace pillion::downstream {
namespace {

using config::AccessLogFilter;
using config::FormatOp;
using config::JsonFormat;
using Kind = config::FormatOp::Kind;

// === which ===

bool compare(AccessLogFilter::Op op, uint64_t a, uint64_t b) {
  switch (op) {
    case AccessLogFilter::Op::eq: return a == b;
    case AccessLogFilter::Op::ge: return a >= b;
    case AccessLogFilter::Op::le: return a <= b;
    case AccessLogFilter::Op::ne: return a != b;
  }
  return false;
}

bool passes_flags(const AccessLogFilter& filter, uint32_t flags) {
  if (filter.flags.empty()) return flags != 0;
  return std::any_of(filter.flags.begin(), filter.flags.end(),
                     [flags](const std::string& letters) { return (flag_bit(letters) & flags) != 0; });
}

bool passes(const AccessLogFilter& filter, const filter::ExchangeRecord& record) {
  const auto child_passes = [&record](const AccessLogFilter& child) { return passes(child, record); };
  switch (filter.kind) {
    case AccessLogFilter::Kind::status_code: return compare(filter.op, record.status, filter.value);
    case AccessLogFilter::Kind::duration:
      return compare(filter.op, static_cast<uint64_t>(to_ms(record.end - record.start)), filter.value);
    case AccessLogFilter::Kind::response_flag: return passes_flags(filter, response_flags(record));
    case AccessLogFilter::Kind::not_health_check: return true;  // no filter here answers health checks by itself
    case AccessLogFilter::Kind::header: {
      if (!filter.header) return true;
      const auto value =
          record.request == nullptr ? std::nullopt : record.request->headers.get_all(filter.header->name);
      return filter.header->matches(value);
    }
    case AccessLogFilter::Kind::and_: return std::all_of(filter.children.begin(), filter.children.end(), child_passes);
    case AccessLogFilter::Kind::or_: return std::any_of(filter.children.begin(), filter.children.end(), child_passes);
  }
  return true;
}

// === JSON ===

// The length of the UTF-8 sequence at `at`; 0 where there is none (RFC 3629 4).
size_t utf8_length(std::string_view s, size_t at) {
  const auto byte = [&](size_t i) { return at + i < s.size() ? static_cast<unsigned char>(s[at + i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) > 0x8f;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

void append_unicode_escape(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789abcdef";
  out += "\\u00";
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

// Bytes that are no UTF-8 are shown as the character of that number, so that the line stays JSON.
void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const size_t length = utf8_length(text, i);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c < 0x20 || length == 0) {
      append_unicode_escape(out, c);
    } else {
      out.append(text, i, length);
    }
    i += length == 0 ? 1 : length;
  }
  out += '"';
}

bool is_number(Kind kind) {
  switch (kind) {
    case Kind::duration:
    case Kind::request_duration:
    case Kind::response_duration:
    case Kind::response_tx_duration:
    case Kind::bytes_received:
    case Kind::bytes_sent:
    case Kind::response_code:
    case Kind::upstream_request_attempt_count:
    case Kind::downstream_remote_port:
    case Kind::downstream_local_port:
    case Kind::connection_id: return true;
    default: return false;
  }
}

// A single operator keeps its type and is null where it has no value; anything else is a string.
bool append_leaf(const config::Format& format, const config::FormatSource& values, bool omit_empty, std::string& out) {
  std::string text;
  const bool single = format.ops.size() == 1 && format.ops[0].kind != Kind::literal;
  if (!single) {
    config::render(format, values, omit_empty ? "" : "-", text);
    append_json_string(out, text);
    return true;
  }
  const FormatOp& op = format.ops[0];
  if (!values.append(op, text)) {
    if (!omit_empty) out += "null";
    return !omit_empty;
  }
  if (op.length_max > 0 && text.size() > op.length_max) text.resize(op.length_max);
  if (is_number(op.kind)) {
    out += text;
  } else {
    append_json_string(out, text);
  }
  return true;
}

void append_fields(const std::vector<JsonFormat::Field>& fields, bool is_list, const config::FormatSource& values,
                   bool omit_empty, std::string& out) {
  out += is_list ? '[' : '{';
  bool first = true;
  for (const JsonFormat::Field& field : fields) {
    const size_t before = out.size();
    if (!first) out += ',';
    if (!is_list) {
      append_json_string(out, field.key);
      out += ':';
    }
    bool written = true;
    if (!field.raw.empty()) {
      out += field.raw;
    } else if (field.value) {
      written = append_leaf(*field.value, values, omit_empty, out);
    } else {
      append_fields(field.children, field.is_list, values, omit_empty, out);
    }
    if (written) {
      first = false;
    } else {
      out.resize(before);
    }
  }
  out += is_list ? ']' : '}';
}

const config::Format& default_format() {
  static const config::Format format =
      config::Format::compile(config::default_access_log_format()).value_or(config::Format{});
  return format;
}

}  // namespace

bool is_logged(const config::AccessLog& log, const filter::ExchangeRecord& record) {
  return !log.filter || passes(*log.filter, record);
}

std::string access_log_line(const config::AccessLog& log, const config::FormatSource& values) {
  std::string line;
  if (log.json) {
    append_fields(log.json->fields, false, values, log.omit_empty, line);
    line += '\n';
    return line;
  }
  config::render(log.text ? *log.text : default_format(), values, log.omit_empty ? "" : "-", line);
  return line;
}

}  // namespace pillion::downstream
