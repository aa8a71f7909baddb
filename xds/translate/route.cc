// One route: what it matches and what it does.
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/route/v3/route_components.pb.h>

#include "xds/translate/matchers.h"
#include "xds/translate/routes_parts.h"

namespace pillion::xds {

namespace route = envoy::config::route::v3;

namespace {

// === match ===

config::PathMatcher to_path(Context& cx, const route::RouteMatch& in) {
  using Kind = config::PathMatcher::Kind;
  config::PathMatcher out;
  out.case_sensitive = !in.has_case_sensitive() || in.case_sensitive().value();
  switch (in.path_specifier_case()) {
    case route::RouteMatch::kPrefix: out.kind = Kind::prefix, out.text = in.prefix(); break;
    case route::RouteMatch::kPath: out.kind = Kind::exact, out.text = in.path(); break;
    case route::RouteMatch::kPathSeparatedPrefix:
      out.kind = Kind::separated_prefix, out.text = in.path_separated_prefix();
      break;
    case route::RouteMatch::kConnectMatcher: out.kind = Kind::connect; break;
    case route::RouteMatch::kSafeRegex: {
      const auto at = cx.field("safe_regex");
      out.kind = Kind::regex;
      out.regex = to_regex(cx, in.safe_regex());
      break;
    }
    default: break;  // refused as unknown
  }
  return out;
}

config::RouteMatch to_match(Context& cx, const route::RouteMatch& in) {
  const auto at = cx.field("match");
  config::RouteMatch out;
  out.path = to_path(cx, in);
  out.headers = to_header_matchers(cx, "headers", in.headers());
  out.grpc_only = in.has_grpc();
  if (in.has_runtime_fraction()) {
    const auto fraction = to_fraction(in.runtime_fraction());
    out.fraction = config::FractionalPercent{fraction.numerator, fraction.denominator};
  }
  const auto in_query = cx.field("query_parameters");
  for (const auto& parameter : in.query_parameters()) {
    const auto in_list = cx.index(out.query.size());
    out.query.push_back(to_query_matcher(cx, parameter));
  }
  return out;
}

// === answers without an upstream ===

uint16_t to_status(route::RedirectAction::RedirectResponseCode code) {
  switch (code) {
    case route::RedirectAction::FOUND: return 302;
    case route::RedirectAction::SEE_OTHER: return 303;
    case route::RedirectAction::TEMPORARY_REDIRECT: return 307;
    case route::RedirectAction::PERMANENT_REDIRECT: return 308;
    default: return 301;
  }
}

config::RedirectAction to_redirect(Context& cx, const route::RedirectAction& in) {
  const auto at = cx.field("redirect");
  config::RedirectAction out;
  out.host = in.host_redirect();
  if (in.port_redirect() != 0) out.port = in.port_redirect();
  out.scheme = in.scheme_redirect();
  out.https = in.https_redirect();
  out.path = in.path_redirect();
  if (in.path_rewrite_specifier_case() == route::RedirectAction::kPrefixRewrite) {
    out.prefix_rewrite = in.prefix_rewrite();
  }
  if (in.has_regex_rewrite()) {
    const auto in_rewrite = cx.field("regex_rewrite");
    out.regex_rewrite = to_rewrite(cx, in.regex_rewrite(), out.regex_substitution);
  }
  out.status = to_status(in.response_code());
  out.strip_query = in.strip_query();
  return out;
}

config::DirectResponse to_direct_response(Context& cx, const route::DirectResponseAction& in, size_t bytes_max) {
  const auto at = cx.field("direct_response");
  config::DirectResponse out;
  out.status = static_cast<uint16_t>(in.status());
  if (!in.has_body()) return out;
  const auto in_body = cx.field("body");
  out.body = read_data_source(cx, in.body());
  if (out.body.size() > bytes_max) {
    cx.fail("has " + std::to_string(out.body.size()) + " bytes; max_direct_response_body_size_bytes allows " +
            std::to_string(bytes_max));
  }
  return out;
}

}  // namespace

config::Route to_route(Context& cx, const route::Route& in, const RouteScope& scope) {
  config::Route out;
  out.name = in.name();
  out.match = to_match(cx, in.match());
  if (in.has_redirect()) {
    out.action = to_redirect(cx, in.redirect());
  } else if (in.has_direct_response()) {
    out.action = to_direct_response(cx, in.direct_response(), scope.body_bytes_max);
  } else if (in.has_route()) {
    out.action = to_route_action(cx, in, scope);
  } else {
    cx.fail("one of route, redirect, direct_response must be set");
  }
  out.mutations = to_mutations(cx, in);
  out.per_filter = to_per_filter(cx, in.typed_per_filter_config());
  out.decorator = in.decorator().operation();
  return out;
}

}  // namespace pillion::xds
