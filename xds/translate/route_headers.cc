// Header mutations and the configuration of filters per route.
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>

#include "xds/translate/routes_parts.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;
namespace route = envoy::config::route::v3;

void check_header_name(Context& cx, std::string_view name) {
  const std::string lower = to_lower(name);
  if (lower.starts_with(':') || lower == "host") cx.fail("pseudo-headers and the host may not be changed here");
}

config::HeaderToAdd to_header_to_add(Context& cx, const core::HeaderValueOption& in) {
  using Action = config::HeaderToAdd::Action;
  config::HeaderToAdd out;
  switch (in.append_action()) {
    case core::HeaderValueOption::ADD_IF_ABSENT: out.action = Action::add_if_absent; break;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD: out.action = Action::overwrite_if_exists_or_add; break;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS: out.action = Action::overwrite_if_exists; break;
    default: out.action = Action::append_if_exists_or_add;
  }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (in.has_append()) {
    const bool both = in.append_action() != core::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD;
    if (both) cx.fail_at("append", "may not be set together with append_action");
    out.action = in.append().value() ? Action::append_if_exists_or_add : Action::overwrite_if_exists_or_add;
  }
#pragma GCC diagnostic pop
  out.keep_empty_value = in.keep_empty_value();
  const auto at = cx.field("header");
  {
    const auto in_key = cx.field("key");
    check_header_name(cx, in.header().key());
    out.name = in.header().key();
  }
  const auto in_value = cx.field("value");
  out.value = to_format(cx, in.header().value());
  return out;
}

namespace {

// Disabled, enabled (an empty `config`), or a configuration, which also enables.
std::optional<config::RouteFilterConfig> to_wrapped_filter_config(Context& cx, const google::protobuf::Any& any) {
  const auto wrapped = unpack_any<route::FilterConfig>(cx, any);
  if (!wrapped) return std::nullopt;
  if (wrapped->disabled()) return config::RouteFilterConfig{.disabled = true};
  if (!wrapped->has_config()) {
    cx.fail("must have a config, or be disabled");
    return std::nullopt;
  }
  if (wrapped->config().type_url().empty()) return config::RouteFilterConfig{};
  if (wrapped->is_optional() && !find_type(wrapped->config().type_url())) return std::nullopt;
  const auto at = cx.field("config");
  return to_route_filter_config(cx, wrapped->config());
}

}  // namespace

std::optional<config::RouteFilterConfig> to_route_filter_config(Context& cx, const google::protobuf::Any& any) {
  const std::string type = content_type(any);
  if (type == "envoy.config.route.v3.FilterConfig") return to_wrapped_filter_config(cx, any);
  const FilterTable* filters = cx.options().filters;
  for (const FilterType& filter : filters == nullptr ? std::vector<FilterType>() : filters->http) {
    if (filter.route_type != type || filter.compile_route == nullptr) continue;
    auto message = unpack_message(any, cx.path());
    if (!message) {
      cx.add(std::move(message.error()));
      return std::nullopt;
    }
    auto config = filter.compile_route(**message, cx.path());
    if (config) return config::RouteFilterConfig{.config = std::move(*config)};
    cx.add(std::move(config.error()));
    return std::nullopt;
  }
  cx.fail("the configuration " + type + " per route is not supported by Pillion");
  return std::nullopt;
}

}  // namespace pillion::xds
