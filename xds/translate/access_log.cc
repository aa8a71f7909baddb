#include <envoy/config/accesslog/v3/accesslog.pb.h>
#include <envoy/config/core/v3/substitution_format_string.pb.h>
#include <envoy/extensions/access_loggers/file/v3/file.pb.h>
#include <envoy/extensions/access_loggers/stream/v3/stream.pb.h>
#include <google/protobuf/struct.pb.h>

#include <charconv>
#include <map>

#include "xds/translate/matchers.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // formats from before log_format are still written

namespace pillion::xds {

namespace accesslog = envoy::config::accesslog::v3;
namespace core = envoy::config::core::v3;
namespace loggers = envoy::extensions::access_loggers;
namespace pb = google::protobuf;

namespace {

// === filters ===

void set_comparison(Context& cx, const accesslog::ComparisonFilter& in, config::AccessLogFilter& out) {
  using Op = config::AccessLogFilter::Op;
  switch (in.op()) {
    case accesslog::ComparisonFilter::EQ: out.op = Op::eq; break;
    case accesslog::ComparisonFilter::GE: out.op = Op::ge; break;
    case accesslog::ComparisonFilter::LE: out.op = Op::le; break;
    case accesslog::ComparisonFilter::NE: out.op = Op::ne; break;
    default: cx.unsupported("op");
  }
  out.value = in.value().default_value();
}

config::AccessLogFilter to_filter(Context& cx, const accesslog::AccessLogFilter& in);

template <class Filters>
void set_children(Context& cx, const Filters& filters, config::AccessLogFilter& out) {
  const auto at = cx.field("filters");
  for (const auto& filter : filters) {
    const auto in = cx.index(out.children.size());
    out.children.push_back(to_filter(cx, filter));
  }
}

config::AccessLogFilter to_filter(Context& cx, const accesslog::AccessLogFilter& in) {
  using Kind = config::AccessLogFilter::Kind;
  config::AccessLogFilter out;
  if (in.has_status_code_filter()) {
    const auto at = cx.field("status_code_filter");
    const auto in_comparison = cx.field("comparison");
    out.kind = Kind::status_code;
    set_comparison(cx, in.status_code_filter().comparison(), out);
  } else if (in.has_duration_filter()) {
    const auto at = cx.field("duration_filter");
    const auto in_comparison = cx.field("comparison");
    out.kind = Kind::duration;
    set_comparison(cx, in.duration_filter().comparison(), out);
  } else if (in.has_not_health_check_filter()) {
    out.kind = Kind::not_health_check;
  } else if (in.has_and_filter()) {
    const auto at = cx.field("and_filter");
    out.kind = Kind::and_;
    set_children(cx, in.and_filter().filters(), out);
  } else if (in.has_or_filter()) {
    const auto at = cx.field("or_filter");
    out.kind = Kind::or_;
    set_children(cx, in.or_filter().filters(), out);
  } else if (in.has_header_filter()) {
    const auto at = cx.field("header_filter");
    const auto in_header = cx.field("header");
    out.kind = Kind::header;
    out.header = to_header_matcher(cx, in.header_filter().header());
  } else if (in.has_response_flag_filter()) {
    out.kind = Kind::response_flag;
    out.flags.assign(in.response_flag_filter().flags().begin(), in.response_flag_filter().flags().end());
  }
  return out;
}

// === formats ===

std::string number_text(double number) {
  char text[32];
  return std::string(text, std::to_chars(text, text + sizeof text, number).ptr);
}

std::vector<config::JsonFormat::Field> to_json_fields(Context& cx, const pb::Struct& in);

config::JsonFormat::Field to_json_field(Context& cx, const std::string& key, const pb::Value& in) {
  config::JsonFormat::Field out;
  out.key = key;
  switch (in.kind_case()) {
    case pb::Value::kStringValue: out.value = to_format(cx, in.string_value()); break;
    case pb::Value::kStructValue: out.children = to_json_fields(cx, in.struct_value()); break;
    case pb::Value::kNumberValue: out.raw = number_text(in.number_value()); break;
    case pb::Value::kBoolValue: out.raw = in.bool_value() ? "true" : "false"; break;
    case pb::Value::kListValue:
      out.is_list = true;
      for (const auto& item : in.list_value().values()) out.children.push_back(to_json_field(cx, {}, item));
      break;
    default: out.raw = "null";
  }
  return out;
}

// A Struct has no order of its own: keys are sorted.
std::vector<config::JsonFormat::Field> to_json_fields(Context& cx, const pb::Struct& in) {
  std::map<std::string_view, const pb::Value*> sorted;
  for (const auto& [key, value] : in.fields()) sorted.emplace(key, &value);
  std::vector<config::JsonFormat::Field> out;
  for (const auto& [key, value] : sorted) {
    const auto at = cx.key(key);
    out.push_back(to_json_field(cx, std::string(key), *value));
  }
  return out;
}

void set_json(Context& cx, std::string_view field, const pb::Struct& in, config::AccessLog& out) {
  const auto at = cx.field(field);
  out.json = config::JsonFormat{to_json_fields(cx, in)};
}

void set_text(Context& cx, std::string_view field, std::string_view text, config::AccessLog& out) {
  const auto at = cx.field(field);
  out.text = to_format(cx, text);
}

void set_log_format(Context& cx, const core::SubstitutionFormatString& in, config::AccessLog& out) {
  const auto at = cx.field("log_format");
  out.omit_empty = in.omit_empty_values();
  switch (in.format_case()) {
    case core::SubstitutionFormatString::kTextFormat: return set_text(cx, "text_format", in.text_format(), out);
    case core::SubstitutionFormatString::kJsonFormat: return set_json(cx, "json_format", in.json_format(), out);
    case core::SubstitutionFormatString::kTextFormatSource: {
      const auto in_source = cx.field("text_format_source");
      const std::string text = read_data_source(cx, in.text_format_source());
      // The error names the member that holds the text.
      const bool is_inline = in.text_format_source().specifier_case() == core::DataSource::kInlineString;
      return set_text(cx, is_inline ? "inline_string" : "filename", text, out);
    }
    default: cx.fail("one of json_format, text_format_source must be set");
  }
}

// === loggers ===

void set_file(Context& cx, const loggers::file::v3::FileAccessLog& in, config::AccessLog& out) {
  using File = loggers::file::v3::FileAccessLog;
  out.path = in.path();
  switch (in.access_log_format_case()) {
    case File::kFormat: return set_text(cx, "format", in.format(), out);
    case File::kJsonFormat: return set_json(cx, "json_format", in.json_format(), out);
    case File::kTypedJsonFormat: return set_json(cx, "typed_json_format", in.typed_json_format(), out);
    case File::kLogFormat: return set_log_format(cx, in.log_format(), out);
    default: return;
  }
}

template <class Stream>
void set_stream(Context& cx, const Stream& in, const char* path, config::AccessLog& out) {
  out.path = path;
  if (in.has_log_format()) set_log_format(cx, in.log_format(), out);
}

}  // namespace

config::AccessLog to_access_log(Context& cx, const accesslog::AccessLog& in) {
  config::AccessLog out;
  if (in.has_filter()) {
    const auto at = cx.field("filter");
    out.filter = to_filter(cx, in.filter());
  }
  const auto at = cx.field("typed_config");
  const std::string type = content_type(in.typed_config());
  if (type == "envoy.extensions.access_loggers.file.v3.FileAccessLog") {
    if (const auto file = unpack_any<loggers::file::v3::FileAccessLog>(cx, in.typed_config())) {
      set_file(cx, *file, out);
    }
  } else if (type == "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog") {
    const auto stream = unpack_any<loggers::stream::v3::StdoutAccessLog>(cx, in.typed_config());
    if (stream) set_stream(cx, *stream, "/dev/stdout", out);
  } else if (type == "envoy.extensions.access_loggers.stream.v3.StderrAccessLog") {
    const auto stream = unpack_any<loggers::stream::v3::StderrAccessLog>(cx, in.typed_config());
    if (stream) set_stream(cx, *stream, "/dev/stderr", out);
  } else {
    cx.fail(type.empty() ? "must be set" : "the access logger " + type + " is not supported by Pillion");
  }
  if (!out.text && !out.json && !cx.failed()) {
    out.text = to_format(cx, config::default_access_log_format());
  }
  return out;
}

}  // namespace pillion::xds
