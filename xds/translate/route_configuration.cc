#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>

#include <set>

#include "xds/translate/check_message.h"
#include "xds/translate/parts.h"
#include "xds/translate/routes_parts.h"

namespace pillion::xds {

namespace route = envoy::config::route::v3;

namespace {

// A name belongs to one virtual host. Names are compared without case.
void set_domains(Context& cx, const route::VirtualHost& in, std::set<std::string>& taken, config::VirtualHost& out) {
  const auto at = cx.field("domains");
  for (const std::string& domain : in.domains()) {
    const auto in_list = cx.index(out.domains.size());
    out.domains.push_back(to_lower(domain));
    if (!taken.insert(out.domains.back()).second) {
      cx.fail("the domain " + domain + " is given twice in one route configuration");
    }
  }
}

config::VirtualHost to_virtual_host(Context& cx, const route::VirtualHost& in, RouteScope scope,
                                    std::set<std::string>& taken) {
  config::VirtualHost out;
  out.name = in.name();
  set_domains(cx, in, taken, out);
  out.mutations = to_mutations(cx, in);
  if (in.has_retry_policy()) {
    const auto at = cx.field("retry_policy");
    out.retry = to_retry_policy(cx, in.retry_policy());
  }
  out.per_filter = to_per_filter(cx, in.typed_per_filter_config());
  cx.unsupported_if(in.require_tls() == route::VirtualHost::EXTERNAL_ONLY, "require_tls");
  out.require_tls = in.require_tls() != route::VirtualHost::NONE;
  out.include_attempt_count_in_request = in.include_request_attempt_count();
  out.include_attempt_count_in_response = in.include_attempt_count_in_response();
  const auto mirrors = to_mirrors(cx, in.request_mirror_policies(), scope.validate_clusters);
  if (!mirrors.empty()) scope.mirrors = &mirrors;
  const auto at = cx.field("routes");
  for (const auto& item : in.routes()) {
    const auto in_list = cx.index(out.routes.size());
    config::Route route = to_route(cx, item, scope);
    route.index = out.routes.size();
    out.routes.push_back(std::move(route));
  }
  return out;
}

}  // namespace

std::shared_ptr<config::RouteConfiguration> to_route_configuration(Context& cx, const route::RouteConfiguration& in) {
  auto out = std::make_shared<config::RouteConfiguration>();
  out->name = in.name();
  out->mutations = to_mutations(cx, in);
  out->most_specific_mutations_last = in.most_specific_header_mutations_wins();
  out->ignore_port_in_host = in.ignore_port_in_host_matching();
  for (const std::string& name : in.internal_only_headers()) out->internal_only_headers.push_back(to_lower(name));
  out->per_filter = to_per_filter(cx, in.typed_per_filter_config());
  RouteScope scope;
  scope.validate_clusters = !in.has_validate_clusters() || in.validate_clusters().value();
  PILLION_SET_WRAPPER(in, max_direct_response_body_size_bytes, scope.body_bytes_max);
  const auto mirrors = to_mirrors(cx, in.request_mirror_policies(), scope.validate_clusters);
  scope.mirrors = &mirrors;
  std::set<std::string> domains;
  std::set<std::string_view> names;
  const auto at = cx.field("virtual_hosts");
  for (const auto& item : in.virtual_hosts()) {
    const auto in_list = cx.index(out->virtual_hosts.size());
    if (!names.insert(item.name()).second) cx.fail_at("name", "the virtual host " + item.name() + " is given twice");
    out->virtual_hosts.push_back(to_virtual_host(cx, item, scope, domains));
  }
  out->build_index();
  return out;
}

Translated<config::RouteConfiguration> translate_route_configuration(const route::RouteConfiguration& message,
                                                                     const TranslationOptions& options,
                                                                     std::string_view path) {
  // A route configuration that comes by itself may name clusters that are still on their way, unless it says otherwise.
  TranslationOptions own = options;
  if (!message.has_validate_clusters()) own.clusters = nullptr;
  Context cx(own, path, 1);
  if (!check_message(cx, message)) return std::unexpected(std::move(cx.take_errors().front()));
  return finish(cx, to_route_configuration(cx, message));
}

}  // namespace pillion::xds
