#include "proxy/route/router.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace pillion::route {
namespace {

bool is_drawn(const config::FractionalPercent& fraction, Random& random) {
  return random.below(fraction.denominator) < fraction.numerator;
}

bool path_matches(const config::PathMatcher& matcher, const http::RequestHead& head, std::string_view path) {
  if (matcher.kind == config::PathMatcher::Kind::connect) return head.method == "CONNECT";
  return matcher.matches(path);
}

bool route_matches(const config::RouteMatch& match, const http::RequestHead& head, std::string_view path,
                   Random& random) {
  if (!path_matches(match.path, head, path)) return false;
  if (match.grpc_only && !http::is_grpc(head.headers)) return false;
  for (const config::HeaderMatcher& header : match.headers) {
    if (!header.matches_request(head)) return false;
  }
  if (!match.query.empty()) {
    const std::string_view query = http::query_of(head.path);
    for (const config::QueryMatcher& parameter : match.query) {
      if (!parameter.matches(query)) return false;
    }
  }
  return !match.fraction || is_drawn(*match.fraction, random);
}

}  // namespace

RouteMatch match(const config::RouteConfiguration& routes, const http::RequestHead& head, Random& random) {
  RouteMatch found;
  found.virtual_host = routes.find(head.authority);
  if (found.virtual_host == nullptr) return found;
  const std::string_view path = http::path_without_query(head.path);
  for (const config::Route& route : found.virtual_host->routes) {
    if (!route_matches(route.match, head, path, random)) continue;
    found.route = &route;
    break;
  }
  return found;
}

std::optional<std::string_view> header_value(const http::RequestHead& head, std::string_view lower_name) {
  if (lower_name.starts_with(':')) {
    if (lower_name == ":path") return head.path;
    if (lower_name == ":method") return head.method;
    if (lower_name == ":authority") return head.authority;
    if (lower_name == ":scheme") return head.scheme;
    return std::nullopt;
  }
  if (lower_name == "host") return head.authority;
  if (lower_name == "content-length") {
    if (!head.content_length) return std::nullopt;
    std::array<char, 20> digits;
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), *head.content_length).ptr;
    return head.headers.arena().copy({digits.data(), static_cast<size_t>(end - digits.data())});
  }
  return head.headers.get_all(lower_name);
}

const config::WeightedCluster* pick_cluster(const config::RouteAction& action, Random& random) {
  if (action.clusters.empty()) return nullptr;
  if (action.clusters.size() == 1) return &action.clusters.front();
  uint64_t at = random.below(std::max<uint64_t>(action.total_weight, 1));
  for (const config::WeightedCluster& cluster : action.clusters) {
    if (at < cluster.weight) return &cluster;
    at -= cluster.weight;
  }
  return &action.clusters.back();  // total_weight says more than the weights: the rest is the last one's
}

}  // namespace pillion::route
