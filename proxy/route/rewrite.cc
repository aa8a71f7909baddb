// The rewriting half of mutation.h.
#include <optional>

#include "proxy/http/validate.h"
#include "proxy/route/mutation.h"

namespace pillion::route {
namespace {

constexpr std::string_view kOriginalHost = "x-envoy-original-host";

// What prefix_rewrite replaces: the prefix, or the whole path where the matcher had no prefix.
std::string_view matched_part(const config::Route& route, std::string_view path) {
  const config::PathMatcher& matcher = route.match.path;
  switch (matcher.kind) {
    case config::PathMatcher::Kind::prefix:
    case config::PathMatcher::Kind::separated_prefix: return path.substr(0, matcher.text.size());
    default: return path;
  }
}

// The new path with the query, in the arena; none where nothing is rewritten or the rewrite gives nothing.
std::optional<std::string_view> rewritten_path(const config::RouteAction& action, const config::Route& route,
                                               const http::RequestHead& head) {
  Arena& arena = head.headers.arena();
  const std::string_view path = http::path_without_query(head.path);
  const std::string_view query = head.path.substr(path.size());
  if (!action.path_rewrite.empty()) return arena.concat({action.path_rewrite, query});
  if (action.prefix_rewrite && !action.prefix_rewrite->empty()) {
    const size_t matched = matched_part(route, path).size();
    return arena.concat({*action.prefix_rewrite, head.path.substr(matched)});
  }
  if (action.regex_rewrite != nullptr) {
    const std::string replaced = action.regex_rewrite->replace_all(path, action.regex_substitution);
    if (!replaced.empty()) return arena.concat({replaced, query});
  }
  return std::nullopt;
}

// "" where the host stays.
std::string_view rewritten_host(const config::RouteAction& action, const http::RequestHead& head) {
  if (!action.host_rewrite.empty()) return action.host_rewrite;
  if (!action.host_rewrite_header.empty()) {
    const http::Header* const found = head.headers.find(action.host_rewrite_header);
    return found != nullptr ? found->value : std::string_view();
  }
  if (action.host_rewrite_path_regex != nullptr) {
    return head.headers.arena().copy(action.host_rewrite_path_regex->replace_all(
        http::path_without_query(head.path), action.host_rewrite_path_substitution));
  }
  return {};
}

// The last element of x-forwarded-host is this host already.
bool is_last_forwarded(std::string_view list, std::string_view host) {
  return http::trim_ows(list.substr(list.rfind(',') + 1)) == host;
}

// The port at the end of an authority, with its colon.
std::string_view port_of(std::string_view authority) {
  const size_t colon = authority.starts_with('[') ? authority.rfind("]:") : authority.rfind(':');
  if (colon == std::string_view::npos) return {};
  return authority.substr(authority.starts_with('[') ? colon + 1 : colon);
}

// The authority of the request, without a port that another one replaces or that belongs to the old scheme.
std::string_view redirect_authority(const http::RequestHead& head, std::string_view old_scheme,
                                    std::string_view new_scheme, bool has_new_port) {
  const std::string_view port = port_of(head.authority);
  const bool is_of_old_scheme = new_scheme != old_scheme &&
                                ((old_scheme == "http" && port == ":80") || (old_scheme == "https" && port == ":443"));
  return head.authority.substr(0, head.authority.size() - (has_new_port || is_of_old_scheme ? port.size() : 0));
}

std::string redirect_path(const config::RedirectAction& action, const config::Route& route, std::string_view target) {
  const std::string_view path = http::path_without_query(target);
  const std::string_view query = action.strip_query ? std::string_view() : target.substr(path.size());
  if (!action.path.empty()) {
    // A query of its own takes the place of the request's.
    return action.path.find('?') != std::string::npos ? action.path : action.path + std::string(query);
  }
  std::string out(path);
  if (action.prefix_rewrite && !action.prefix_rewrite->empty()) {
    out.replace(0, matched_part(route, path).size(), *action.prefix_rewrite);
  } else if (action.regex_rewrite != nullptr) {
    std::string replaced = action.regex_rewrite->replace_all(path, action.regex_substitution);
    if (!replaced.empty()) out = std::move(replaced);
  }
  return out += query;
}

}  // namespace

void rewrite_authority(std::string_view host, bool append_x_forwarded_host, bool suppress_envoy_headers,
                       http::RequestHead& head) {
  if (host.empty() || !http::is_authority(host)) return;
  if (append_x_forwarded_host && !head.authority.empty() &&
      !is_last_forwarded(head.headers.get(http::HeaderId::x_forwarded_host), head.authority)) {
    head.headers.append(http::HeaderId::x_forwarded_host, head.authority);
  }
  if (!suppress_envoy_headers) head.headers.set(kOriginalHost, head.authority);
  head.authority = host;
}

void rewrite_request(const config::RouteAction& action, const config::Route& route,
                     const config::WeightedCluster* cluster, http::RequestHead& head, bool suppress_envoy_headers) {
  // The weighted cluster's host goes unmentioned, and the route's replaces it.
  if (cluster != nullptr && !cluster->host_rewrite.empty()) head.authority = cluster->host_rewrite;
  rewrite_authority(rewritten_host(action, head), action.append_x_forwarded_host, suppress_envoy_headers, head);
  if (head.path.empty()) return;  // CONNECT
  const std::optional<std::string_view> path = rewritten_path(action, route, head);
  if (!path) return;
  if (!suppress_envoy_headers) head.headers.set(http::HeaderId::x_envoy_original_path, head.path);
  head.path = *path;
}

std::string redirect_location(const config::RedirectAction& action, const config::Route& route,
                              const http::RequestHead& head) {
  const std::string_view forwarded = head.headers.get(http::HeaderId::x_forwarded_proto);
  std::string_view scheme = !head.scheme.empty() ? head.scheme : forwarded;
  if (scheme.empty()) scheme = "http";
  // Where the two disagree, another proxy ended the client's TLS: the client's port is that of x-forwarded-proto.
  const std::string_view old_scheme = !forwarded.empty() ? forwarded : scheme;
  const std::string_view new_scheme = !action.scheme.empty() ? std::string_view(action.scheme)
                                      : action.https         ? std::string_view("https")
                                                             : scheme;
  std::string out(new_scheme);
  out += "://";
  out += !action.host.empty() ? std::string_view(action.host)
                              : redirect_authority(head, old_scheme, new_scheme, action.port.has_value());
  if (action.port) out += ":" + std::to_string(*action.port);
  return out += redirect_path(action, route, head.path);
}

}  // namespace pillion::route
