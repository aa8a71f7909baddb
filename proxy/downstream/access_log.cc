#include "proxy/downstream/access_log.h"

#include <algorithm>

#include "proxy/downstream/format_values.h"

namespace pillion::downstream {
namespace {

using config::AccessLogFilter;

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
    case AccessLogFilter::Kind::header:
      if (!filter.header) return true;
      return record.request == nullptr ? filter.header->matches(std::nullopt)
                                       : filter.header->matches_request(*record.request);
    case AccessLogFilter::Kind::and_: return std::all_of(filter.children.begin(), filter.children.end(), child_passes);
    case AccessLogFilter::Kind::or_: return std::any_of(filter.children.begin(), filter.children.end(), child_passes);
  }
  return true;
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
    config::render_json(*log.json, values, log.omit_empty, line);
    return line;
  }
  config::render(log.text ? *log.text : default_format(), values, log.omit_empty ? "" : "-", line);
  return line;
}

}  // namespace pillion::downstream
