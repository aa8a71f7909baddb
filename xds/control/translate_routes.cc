// HTTPRoute and GRPCRoute -> RouteConfiguration.
#include <envoy/extensions/retry/host/previous_hosts/v3/previous_hosts.pb.h>

#include <algorithm>
#include <cmath>

#include "xds/control/translate_parts.h"

namespace pillion::xds::control {

namespace {

// Nothing here can have been executed: a retry is always safe. More is a TrafficPolicy's or a route's own decision.
constexpr const char* kDefaultRetryOn = "connect-failure,refused-stream,reset-before-request";
constexpr int64_t kHostSelectionAttempts = 5;

// One rule under one of its matches: what becomes one route.
struct Candidate {
  const Route* route = nullptr;
  const RouteRule* rule = nullptr;
  const RouteMatch* match = nullptr;
};

// The precedence of the Gateway API: exact path, longer prefix, method, more headers, more query parameters, then the
// older name and the earlier rule. Expressions stand between exact paths and prefixes.
bool precedes(const Candidate& a, const Candidate& b) {
  auto rank = [](const RouteMatch& m) {
    return m.path.type == MatchType::exact ? 0 : (m.path.type == MatchType::regex ? 1 : 2);
  };
  auto key = [&rank](const Candidate& c) {
    const RouteMatch& m = *c.match;
    return std::tuple(rank(m), -static_cast<int64_t>(m.path.value.size()), m.method.empty(),
                      -static_cast<int64_t>(m.headers.size()), -static_cast<int64_t>(m.query.size()));
  };
  return key(a) < key(b);
}

bool attaches(const ParentRef& parent, const Service& service, const ServicePort& port) {
  if (parent.service != service.meta.name) return false;
  if (parent.port != 0 && parent.port != port.port) return false;
  return parent.section_name.empty() || parent.section_name == port.name;
}

// Routes beside their service speak to everybody (producer); those of another namespace only to the clients there
// (consumer), who then see nothing of the producer's.
std::vector<Candidate> candidates(const Scope& scope, const Service& service, const ServicePort& port) {
  std::vector<Candidate> producer;
  std::vector<Candidate> consumer;
  auto routes = scope.model.routes_by_service.find(service.meta.name);
  if (routes == scope.model.routes_by_service.end()) return {};
  for (const Route* route : routes->second) {
    const bool beside = route->meta.name.ns == service.meta.name.ns;
    if (!beside && route->meta.name.ns != scope.node.service_account.ns) continue;
    const bool here =
        std::ranges::any_of(route->parents, [&](const ParentRef& p) { return attaches(p, service, port); });
    if (!here) continue;
    for (const RouteRule& rule : route->rules) {
      for (const RouteMatch& match : rule.matches) (beside ? producer : consumer).push_back({route, &rule, &match});
    }
  }
  std::vector<Candidate>& out = consumer.empty() ? producer : consumer;
  std::ranges::stable_sort(out, precedes);
  return out;
}

// === matches ===

template <class StringMatcher>
void set_string(StringMatcher& out, const ValueMatch& match) {
  if (match.type == MatchType::regex)
    out.mutable_safe_regex()->set_regex(match.value);
  else
    out.set_exact(match.value);
}

void set_match(const Scope& scope, const RouteMatch& match, route::RouteMatch& out) {
  const PathMatch& path = match.path;
  if (path.type == MatchType::exact)
    out.set_path(path.value);
  else if (path.type == MatchType::regex)
    out.mutable_safe_regex()->set_regex(path.value);
  else if (path.value == "/")
    out.set_prefix("/");
  else if (scope.node.kind == NodeClass::Kind::grpc)
    out.set_prefix(path.value + "/");  // all it knows; paths are /S/M
  else
    out.set_path_separated_prefix(path.value);
  if (!match.method.empty()) {
    auto& header = *out.add_headers();
    header.set_name(":method");
    header.mutable_string_match()->set_exact(match.method);
  }
  for (const ValueMatch& value : match.headers) {
    auto& header = *out.add_headers();
    header.set_name(value.name);
    set_string(*header.mutable_string_match(), value);
  }
  for (const ValueMatch& value : match.query) {
    auto& parameter = *out.add_query_parameters();
    parameter.set_name(value.name);
    set_string(*parameter.mutable_string_match(), value);
  }
}

// === header changes ===

// A percent sign in a value is a text here, but a command for a proxy's formatter.
std::string escaped(const std::string& value) {
  std::string out;
  for (const char c : value) out.append(c == '%' ? 2 : 1, c);
  return out;
}

template <class Repeated>
void add_headers(const HeaderChange& change, Repeated& out) {
  auto add = [&out](const auto& list, core::HeaderValueOption::HeaderAppendAction action) {
    for (const auto& [name, value] : list) {
      auto& option = *out.Add();
      option.mutable_header()->set_key(name);
      option.mutable_header()->set_value(escaped(value));
      option.set_append_action(action);
      option.set_keep_empty_value(true);
    }
  };
  add(change.set, core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  add(change.add, core::HeaderValueOption::APPEND_IF_EXISTS_OR_ADD);
}

template <class Message>
void set_header_changes(const HeaderChange& request, const HeaderChange& response, Message& out) {
  add_headers(request, *out.mutable_request_headers_to_add());
  add_headers(response, *out.mutable_response_headers_to_add());
  for (const std::string& name : request.remove) out.add_request_headers_to_remove(name);
  for (const std::string& name : response.remove) out.add_response_headers_to_remove(name);
}

// === path changes ===

std::string quoted_regex(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '/' && c != '_' && c != '-') out += '\\';
    out += c;
  }
  return out;
}

template <class Regex>
void set_regex(Regex& out, std::string pattern, const std::string& substitution) {
  out.mutable_pattern()->set_regex(std::move(pattern));
  std::string text;
  for (const char c : substitution) text.append(c == '\\' ? 2 : 1, c);
  out.set_substitution(text);
}

// The prefix is replaced by whole segments: /a -> / turns /a/b into /b and never into //b.
template <class Action>
void set_prefix_change(Action& out, const RouteMatch& match, std::string replacement) {
  while (replacement.size() > 1 && replacement.ends_with('/')) replacement.pop_back();
  if (replacement.empty()) replacement = "/";
  const std::string& prefix = match.path.value;
  if (prefix != "/" && replacement == "/") {
    set_regex(*out.mutable_regex_rewrite(), "^" + quoted_regex(prefix) + "/*", "/");
  } else if (prefix == "/" && replacement != "/") {
    out.set_prefix_rewrite(replacement + "/");
  } else {
    out.set_prefix_rewrite(replacement);
  }
}

void set_redirect(const Redirect& redirect, const RouteMatch& match, route::RedirectAction& out) {
  if (!redirect.scheme.empty()) out.set_scheme_redirect(redirect.scheme);
  if (!redirect.hostname.empty()) out.set_host_redirect(redirect.hostname);
  if (redirect.port != 0) out.set_port_redirect(redirect.port);
  if (redirect.path && redirect.path->prefix)
    set_prefix_change(out, match, redirect.path->value);
  else if (redirect.path)
    out.set_path_redirect(redirect.path->value);
  switch (redirect.status) {
    case 301: out.set_response_code(route::RedirectAction::MOVED_PERMANENTLY); break;
    case 303: out.set_response_code(route::RedirectAction::SEE_OTHER); break;
    case 307: out.set_response_code(route::RedirectAction::TEMPORARY_REDIRECT); break;
    case 308: out.set_response_code(route::RedirectAction::PERMANENT_REDIRECT); break;
    default: out.set_response_code(route::RedirectAction::FOUND); break;
  }
}

// === actions ===

std::string backend_cluster(const Scope& scope, const BackendRef& backend) {
  return cluster_name(scope.model.services.at(backend.service), backend.port, scope.options);
}

void set_backends(const Scope& scope, const RouteRule& rule, route::Route& out) {
  std::vector<const BackendRef*> live;
  for (const BackendRef& backend : rule.backends) {
    if (backend.weight > 0) live.push_back(&backend);
  }
  if (live.empty()) {  // what the Gateway API asks for
    out.mutable_direct_response()->set_status(500);
    out.mutable_direct_response()->mutable_body()->set_inline_string("no backend of this route has a weight\n");
    return;
  }
  auto plain = [](const BackendRef& b) { return b.request_headers.empty() && b.response_headers.empty(); };
  if (live.size() == 1 && plain(*live.front())) {
    out.mutable_route()->set_cluster(backend_cluster(scope, *live.front()));
    return;
  }
  for (const BackendRef* backend : live) {
    auto& weighted = *out.mutable_route()->mutable_weighted_clusters()->add_clusters();
    weighted.set_name(backend_cluster(scope, *backend));
    weighted.mutable_weight()->set_value(backend->weight);
    set_header_changes(backend->request_headers, backend->response_headers, weighted);
  }
}

const TrafficPolicy& policy_or_default(const Scope& scope, const Service& service, const ServicePort& port) {
  static const TrafficPolicy kDefault;
  const TrafficPolicy* policy = scope.model.policy_of(service, port);
  return policy == nullptr ? kDefault : *policy;
}

void set_times(const TrafficPolicy& policy, const RouteRule* rule, route::RouteAction& out) {
  std::optional<Milliseconds> timeout = policy.request_timeout;
  if (rule != nullptr && rule->request_timeout) timeout = rule->request_timeout;
  set_duration(*out.mutable_timeout(), timeout.value_or(Milliseconds(0)));
  *out.mutable_retry_policy() = retry_policy(policy.retries, rule);
}

void set_action(const Scope& scope, const TrafficPolicy& policy, const Candidate& candidate, route::Route& out) {
  const RouteRule& rule = *candidate.rule;
  set_header_changes(rule.request_headers, rule.response_headers, out);
  if (rule.redirect) {
    set_redirect(*rule.redirect, *candidate.match, *out.mutable_redirect());
    return;
  }
  set_backends(scope, rule, out);
  if (!out.has_route()) return;
  auto& action = *out.mutable_route();
  set_times(policy, &rule, action);
  if (rule.rewrite) {
    if (!rule.rewrite->hostname.empty()) action.set_host_rewrite_literal(rule.rewrite->hostname);
    if (const auto& path = rule.rewrite->path) {
      if (path->prefix)
        set_prefix_change(action, *candidate.match, path->value);
      else
        set_regex(*action.mutable_regex_rewrite(), "^.*$", path->value);
    }
  }
  for (const Mirror& mirror : rule.mirrors) {
    auto& policy_out = *action.add_request_mirror_policies();
    policy_out.set_cluster(backend_cluster(scope, mirror.backend));
    auto& fraction = *policy_out.mutable_runtime_fraction()->mutable_default_value();
    fraction.set_numerator(static_cast<uint32_t>(std::lround(mirror.percent * 10000)));
    fraction.set_denominator(envoy::type::v3::FractionalPercent::MILLION);
  }
}

// The connection was made to this service's address, so that its Host says nothing about whose it is: the names are
// listed for readers and for gRPC, and "*" takes the rest.
void set_domains(const Scope& scope, const Service& service, const ServicePort& port, route::VirtualHost& out) {
  const Name& name = service.meta.name;
  std::vector<std::string> hosts = {host_of(service, scope.options), name.name + "." + name.ns + ".svc",
                                    name.name + "." + name.ns};
  if (name.ns == scope.node.service_account.ns) hosts.push_back(name.name);
  for (const std::string& ip : service.cluster_ips) hosts.push_back(ip.contains(':') ? "[" + ip + "]" : ip);
  for (const std::string& host : hosts) {
    out.add_domains(host);
    out.add_domains(host + ":" + std::to_string(port.port));
  }
  out.add_domains("*");
}

}  // namespace

route::RetryPolicy retry_policy(const Retries& retries, const RouteRule* rule) {
  std::string on;
  for (const std::string& name : retries.on) on.append(on.empty() ? "" : ",").append(name);
  if (retries.on.empty()) on = kDefaultRetryOn;
  std::vector<uint32_t> codes = retries.codes;
  uint32_t attempts = retries.attempts;
  std::optional<Milliseconds> base = retries.backoff_base;
  std::optional<Milliseconds> per_try = retries.per_try_timeout;
  if (rule != nullptr && rule->retry) {
    if (!rule->retry->codes.empty()) codes = rule->retry->codes;
    attempts = rule->retry->attempts.value_or(attempts);
    if (rule->retry->backoff) base = rule->retry->backoff;
  }
  if (rule != nullptr && rule->backend_timeout) per_try = rule->backend_timeout;
  if (!codes.empty() && !on.contains("retriable-status-codes")) on += ",retriable-status-codes";
  route::RetryPolicy out;
  out.set_retry_on(attempts > 0 ? on : "");
  out.mutable_num_retries()->set_value(attempts);
  for (const uint32_t code : codes) out.add_retriable_status_codes(code);
  if (per_try && *per_try > Milliseconds(0)) set_duration(*out.mutable_per_try_timeout(), *per_try);
  if (base && *base > Milliseconds(0)) {
    set_duration(*out.mutable_retry_back_off()->mutable_base_interval(), *base);
    if (retries.backoff_max && *retries.backoff_max >= *base) {
      set_duration(*out.mutable_retry_back_off()->mutable_max_interval(), *retries.backoff_max);
    }
  }
  auto& other_host = *out.add_retry_host_predicate();
  other_host.set_name("envoy.retry_host_predicates.previous_hosts");
  *other_host.mutable_typed_config() =
      pack(envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate());
  out.set_host_selection_retry_max_attempts(kHostSelectionAttempts);
  return out;
}

route::RouteConfiguration route_config(const Scope& scope, const Service& service, const ServicePort& port) {
  const TrafficPolicy& policy = policy_or_default(scope, service, port);
  route::RouteConfiguration out;
  out.set_name(route_config_name(scope, service, port));
  out.mutable_validate_clusters()->set_value(false);
  auto& host = *out.add_virtual_hosts();
  host.set_name(out.name());
  set_domains(scope, service, port, host);
  for (const Candidate& candidate : candidates(scope, service, port)) {
    auto& route = *host.add_routes();
    route.set_name(candidate.route->meta.name.to_string() +
                   (candidate.rule->name.empty() ? "" : "/" + candidate.rule->name));
    set_match(scope, *candidate.match, *route.mutable_match());
    set_action(scope, policy, candidate, route);
  }
  // With routes attached, what matches none of them is answered 404, as the Gateway API says.
  if (host.routes().empty()) {
    auto& route = *host.add_routes();
    route.set_name("default");
    route.mutable_match()->set_prefix("/");
    route.mutable_route()->set_cluster(cluster_name(service, port.port, scope.options));
    set_times(policy, nullptr, *route.mutable_route());
  }
  return out;
}

route::RouteConfiguration inbound_route_config(const std::string& cluster_name) {
  constexpr uint32_t kInboundRetries = 2;
  route::RouteConfiguration out;
  out.set_name(cluster_name);
  out.mutable_validate_clusters()->set_value(false);
  auto& host = *out.add_virtual_hosts();
  host.set_name(cluster_name);
  host.add_domains("*");
  auto& route = *host.add_routes();
  route.set_name("default");
  route.mutable_match()->set_prefix("/");
  route.mutable_route()->set_cluster(cluster_name);
  set_duration(*route.mutable_route()->mutable_timeout(), Milliseconds(0));
  // The application may close an idle connection just when a request is on its way.
  route.mutable_route()->mutable_retry_policy()->set_retry_on("reset-before-request");
  route.mutable_route()->mutable_retry_policy()->mutable_num_retries()->set_value(kInboundRetries);
  return out;
}

}  // namespace pillion::xds::control
