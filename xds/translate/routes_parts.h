// The parts of the routes' translation, for route*.cc and for filters whose messages hold the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "proxy/config/route.h"
#include "xds/translate/context.h"
#include "xds/translate/values.h"

namespace envoy::config::core::v3 {
class HeaderValueOption;
}
namespace envoy::config::route::v3 {
class RetryPolicy;
class Route;
class RouteAction_RequestMirrorPolicy;
}  // namespace envoy::config::route::v3
namespace google::protobuf {
class Any;
}

namespace pillion::xds {

// What a route takes from the levels above it.
struct RouteScope {
  bool validate_clusters = false;
  size_t body_bytes_max = 4096;  // of a direct response
  const std::vector<config::MirrorPolicy>* mirrors = nullptr;
};

// === route.cc ===
config::Route to_route(Context& cx, const envoy::config::route::v3::Route& in, const RouteScope& scope);

// === route_action.cc ===
config::RouteAction to_route_action(Context& cx, const envoy::config::route::v3::Route& in, const RouteScope& scope);
config::RetryPolicy to_retry_policy(Context& cx, const envoy::config::route::v3::RetryPolicy& in);
config::MirrorPolicy to_mirror(Context& cx, const envoy::config::route::v3::RouteAction_RequestMirrorPolicy& in,
                               bool validate_clusters);
void check_cluster(Context& cx, std::string_view field, const std::string& name, bool validate);
template <class Mirrors>
std::vector<config::MirrorPolicy> to_mirrors(Context& cx, const Mirrors& mirrors, bool validate_clusters) {
  const auto at = cx.field("request_mirror_policies");
  std::vector<config::MirrorPolicy> out;
  for (const auto& mirror : mirrors) {
    const auto in = cx.index(out.size());
    out.push_back(to_mirror(cx, mirror, validate_clusters));
  }
  return out;
}

// === route_headers.cc ===
config::HeaderToAdd to_header_to_add(Context& cx, const envoy::config::core::v3::HeaderValueOption& in);
// A name that may be taken off or added: no pseudo-header and not the host.
void check_header_name(Context& cx, std::string_view name);

template <class Headers>
void set_headers_to_add(Context& cx, std::string_view field, const Headers& in, std::vector<config::HeaderToAdd>& out) {
  const auto at = cx.field(field);
  for (const auto& header : in) {
    const auto in_list = cx.index(out.size());
    out.push_back(to_header_to_add(cx, header));
  }
}
template <class Names>
void set_headers_to_remove(Context& cx, std::string_view field, const Names& in, std::vector<std::string>& out) {
  const auto at = cx.field(field);
  for (const std::string& name : in) {
    const auto in_list = cx.index(out.size());
    check_header_name(cx, name);
    out.push_back(to_lower(name));
  }
}
// The four fields that have the same names at every level.
template <class Message>
config::HeaderMutations to_mutations(Context& cx, const Message& in) {
  config::HeaderMutations out;
  set_headers_to_add(cx, "request_headers_to_add", in.request_headers_to_add(), out.request_add);
  set_headers_to_remove(cx, "request_headers_to_remove", in.request_headers_to_remove(), out.request_remove);
  set_headers_to_add(cx, "response_headers_to_add", in.response_headers_to_add(), out.response_add);
  set_headers_to_remove(cx, "response_headers_to_remove", in.response_headers_to_remove(), out.response_remove);
  return out;
}

// An entry of typed_per_filter_config; none where it is optional and not known, and after an error.
std::optional<config::RouteFilterConfig> to_route_filter_config(Context& cx, const google::protobuf::Any& any);
template <class Map>
config::PerFilterConfig to_per_filter(Context& cx, const Map& in) {
  const auto at = cx.field("typed_per_filter_config");
  config::PerFilterConfig out;
  for (const auto& [name, any] : in) {
    const auto in_map = cx.key(name);
    if (auto entry = to_route_filter_config(cx, any)) out.emplace(name, std::move(*entry));
  }
  return out;
}

}  // namespace pillion::xds
