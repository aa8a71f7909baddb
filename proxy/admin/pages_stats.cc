// /stats and /stats/prometheus.
#include <fmt/format.h>

#include <expected>
#include <memory>

#include "proxy/admin/pages.h"
#include "proxy/admin/process_stats.h"
#include "proxy/admin/stats_format.h"
#include "proxy/config/matcher.h"

namespace pillion::admin {
namespace {

using Filter = std::shared_ptr<const config::Regex>;  // null: everything

// `filter` may match anywhere in the name.
std::expected<Filter, std::string> filter_of(const PageRequest& request) {
  const auto pattern = request.query.get("filter");
  if (!pattern || pattern->empty()) return Filter();
  if (auto alone = config::Regex::compile(*pattern); !alone) return std::unexpected(alone.error());
  return config::Regex::compile(fmt::format("(?s).*(?:{}).*", *pattern));
}

// `usedonly` leaves out counters that never counted and histograms without a value. Gauges are always of use.
std::vector<StatValue> collect(Context& context, const PageRequest& request, const Filter& filter) {
  context.server_stats->refresh(context);
  const bool used_only = request.query.has("usedonly");
  std::vector<StatValue> stats = context.server.registry().collect();
  std::erase_if(stats, [&](const StatValue& s) {
    if (used_only && s.kind != StatKind::gauge && s.value == 0) return true;
    return filter != nullptr && !filter->matches(s.name->full);
  });
  return stats;
}

}  // namespace

rpc::HttpResponse stats_page(Context& context, const PageRequest& request) {
  const auto filter = filter_of(request);
  if (!filter) return text_page("Invalid re2 regex: " + filter.error() + "\n", 400);
  const std::string_view format = request.query.get("format").value_or("text");
  if (format == "prometheus") return prometheus_page(context, request);
  if (format != "text" && format != "json") return text_page("usage: /stats?format=(json|prometheus|text)\n\n", 400);
  const std::vector<StatValue> stats = collect(context, request, *filter);
  return format == "json" ? json_page(stats_as_json(stats)) : text_page(stats_as_text(stats));
}

rpc::HttpResponse prometheus_page(Context& context, const PageRequest& request) {
  const auto filter = filter_of(request);
  if (!filter) return text_page("Invalid re2 regex: " + filter.error() + "\n", 400);
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = stats_as_prometheus(collect(context, request, *filter))};
}

}  // namespace pillion::admin
