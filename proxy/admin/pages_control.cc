// Pages that change something: POST only.
#include <fmt/format.h>

#include "proxy/admin/pages.h"
#include "proxy/base/log.h"

namespace pillion::admin {
namespace {

constexpr std::string_view kLogger = "pillion";  // there is one level for all

std::string levels() {
  return fmt::format("active loggers:\n  {}: {}\n", kLogger, name_of(log_level()));
}

rpc::HttpResponse logging_error(std::string_view what) {
  return text_page(fmt::format("error: {}\n\n"
                               "usage: /logging?level=<level> (change all levels)\n"
                               "usage: /logging?paths={}:<level> (the only logger)\n"
                               "levels: trace debug info warning error critical off\n{}",
                               what, kLogger, levels()),
                   400);
}

}  // namespace

rpc::HttpResponse logging_page(Context&, const PageRequest& request) {
  const auto& parameters = request.query.all();
  if (parameters.empty()) return text_page(levels());
  if (parameters.size() > 1) return logging_error("invalid number of parameters");
  std::string_view name = parameters[0].first;
  std::string_view level = parameters[0].second;
  if (name == "paths") {
    const size_t colon = level.rfind(':');
    if (colon == std::string_view::npos) return logging_error("paths are written name:level");
    name = level.substr(0, colon);
    level = level.substr(colon + 1);
  }
  if (name != "level" && name != kLogger) return logging_error("unknown logger name");
  const std::optional<LogLevel> parsed = parse_log_level(level);
  if (!parsed) return logging_error("unknown logger level");
  set_log_level(*parsed);
  return text_page(levels());
}

rpc::HttpResponse drain_listeners_page(Context& context, const PageRequest& request) {
  context.server.drain_listeners(request.query.has("inboundonly"));
  return text_page("OK\n");
}

rpc::HttpResponse health_fail_page(Context& context, const PageRequest&) {
  context.health_failed = true;
  return text_page("OK\n");
}

rpc::HttpResponse health_ok_page(Context& context, const PageRequest&) {
  context.health_failed = false;
  return text_page("OK\n");
}

rpc::HttpResponse reset_counters_page(Context& context, const PageRequest&) {
  context.server.registry().reset_counters();
  return text_page("OK\n");
}

rpc::HttpResponse reopen_logs_page(Context& context, const PageRequest&) {
  context.server.reopen_logs();
  return text_page("OK\n");
}

rpc::HttpResponse quit_page(Context& context, const PageRequest&) {
  context.server.quit();
  return text_page("OK\n");
}

}  // namespace pillion::admin
