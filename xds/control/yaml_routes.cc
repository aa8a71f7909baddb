// HTTPRoute and GRPCRoute of the Gateway API, attached to Services (GAMMA).
#include <algorithm>

#include "xds/control/yaml_kinds.h"

namespace pillion::xds::control {

namespace {

constexpr uint32_t kMaxPort = 65535;
constexpr uint32_t kMaxWeight = 1'000'000;  // of the Gateway API
constexpr uint32_t kMaxAttempts = 100;
constexpr size_t kMaxMatches = 64;  // of the Gateway API, per rule
constexpr size_t kMaxBackends = 16;

// === headers ===

std::string header_name(const YamlValue& value) {
  const std::string name = value.text();
  auto token = [](unsigned char c) { return std::isalnum(c) != 0 || std::string_view("!#$%&'*+-.^_`|~").contains(c); };
  const bool good = !name.empty() && name.size() <= 256 && std::ranges::all_of(name, token);
  if (good) return name;
  value.fail("is not a header name (RFC 9110, section 5.1)");
  return {};
}

std::string header_value(const YamlValue& value) {
  std::string text = value.text();
  auto bad = [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; };
  if (std::ranges::any_of(text, bad)) value.fail("holds a control character, which no header value may");
  return text;
}

std::vector<std::pair<std::string, std::string>> read_header_list(const YamlMap& map, std::string_view key) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto list = map.get(key);
  if (!list) return out;
  for (const YamlValue& item : list->items()) {
    const YamlMap fields(item, {"name", "value"});
    const auto name = fields.require("name");
    const auto value = fields.require("value");
    if (name && value) out.emplace_back(header_name(*name), header_value(*value));
  }
  return out;
}

void read_header_change(const YamlValue& value, HeaderChange& out) {
  const YamlMap map(value, {"set", "add", "remove"});
  out.set = read_header_list(map, "set");
  out.add = read_header_list(map, "add");
  if (auto list = map.get("remove")) {
    for (const YamlValue& item : list->items()) out.remove.push_back(header_name(item));
  }
}

// === references ===

BackendRef read_backend_fields(const YamlMap& map, const std::string& ns) {
  BackendRef out;
  out.at = map.value().place();
  check_service_ref(map);
  if (auto name = map.require("name")) {
    out.service = {ns, name->dns_name()};
    out.at = name->place();
  }
  if (auto other = map.get("namespace")) out.service.ns = other->dns_name();
  if (auto port = map.require("port")) out.port = static_cast<uint16_t>(port->number(1, kMaxPort).value_or(0));
  return out;
}

BackendRef read_backend(const YamlValue& value, const std::string& ns) {
  const YamlMap map(value, {"group", "kind", "name", "namespace", "port", "weight", "filters"});
  BackendRef out = read_backend_fields(map, ns);
  if (auto weight = map.get("weight")) out.weight = weight->number(0, kMaxWeight).value_or(1);
  const auto filters = map.get("filters");
  if (!filters) return out;
  for (const YamlValue& item : filters->items()) {
    const YamlMap filter(item, {"type", "requestHeaderModifier", "responseHeaderModifier"});
    if (auto change = filter.get("requestHeaderModifier")) read_header_change(*change, out.request_headers);
    if (auto change = filter.get("responseHeaderModifier")) read_header_change(*change, out.response_headers);
  }
  return out;
}

ParentRef read_parent(const YamlValue& value, const std::string& ns) {
  ParentRef out;
  out.at = value.place();
  const YamlMap map(value, {"group", "kind", "name", "namespace", "port", "sectionName"});
  check_service_ref(map);
  if (!map.get("kind")) map.fail("the field kind is missing; in the mesh it is Service");
  if (auto name = map.require("name")) {
    out.service = {ns, name->dns_name()};
    out.at = name->place();
  }
  if (auto other = map.get("namespace")) out.service.ns = other->dns_name();
  if (auto port = map.get("port")) out.port = static_cast<uint16_t>(port->number(1, kMaxPort).value_or(0));
  out.section_name = map.text("sectionName");
  return out;
}

// === filters ===

std::optional<PathChange> read_path_change(const YamlMap& map) {
  const auto value = map.get("path");
  if (!value) return std::nullopt;
  const YamlMap fields(*value, {"type", "replaceFullPath", "replacePrefixMatch"});
  const auto type = fields.require("type");
  if (!type) return std::nullopt;
  PathChange out;
  out.prefix = type->one_of<bool>({{"ReplaceFullPath", false}, {"ReplacePrefixMatch", true}}).value_or(false);
  if (auto text = fields.require(out.prefix ? "replacePrefixMatch" : "replaceFullPath")) {
    out.value = text->text();
    const bool rooted = out.value.starts_with('/') || (out.prefix && out.value.empty());
    if (!rooted) text->fail("must start with a slash");
    if (std::ranges::any_of(out.value, [](unsigned char c) { return c <= 0x20 || c == '#' || c == 0x7f; })) {
      text->fail("holds a character that no path may");
    }
  }
  return out;
}

Redirect read_redirect(const YamlValue& value) {
  Redirect out;
  const YamlMap map(value, {"scheme", "hostname", "path", "port", "statusCode"});
  if (auto scheme = map.get("scheme")) {
    scheme->one_of<int>({{"http", 0}, {"https", 1}});
    out.scheme = scheme->text();
  }
  if (auto host = map.get("hostname")) out.hostname = host->dns_name();
  if (auto port = map.get("port")) out.port = static_cast<uint16_t>(port->number(1, kMaxPort).value_or(0));
  out.path = read_path_change(map);
  if (auto status = map.get("statusCode")) {
    out.status =
        status->one_of<int>({{"301", 301}, {"302", 302}, {"303", 303}, {"307", 307}, {"308", 308}}).value_or(302);
  }
  return out;
}

Rewrite read_rewrite(const YamlValue& value) {
  Rewrite out;
  const YamlMap map(value, {"hostname", "path"});
  if (auto host = map.get("hostname")) out.hostname = host->dns_name();
  out.path = read_path_change(map);
  return out;
}

Mirror read_mirror(const YamlValue& value, const std::string& ns) {
  Mirror out;
  const YamlMap map(value, {"backendRef", "percent", "fraction"});
  if (auto ref = map.require("backendRef")) {
    out.backend = read_backend_fields(YamlMap(*ref, {"group", "kind", "name", "namespace", "port"}), ns);
  }
  if (auto percent = map.get("percent")) out.percent = percent->number(0, 100).value_or(100);
  if (auto fraction = map.get("fraction")) {
    const YamlMap fields(*fraction, {"numerator", "denominator"});
    const auto top = fields.require("numerator");
    const auto bottom = fields.get("denominator");
    const double n = top ? top->number(0, UINT32_MAX).value_or(0) : 0;
    const double d = bottom ? bottom->number(1, UINT32_MAX).value_or(100) : 100;
    if (n > d) fraction->fail("is more than the whole");
    out.percent = std::min(100.0, 100.0 * n / d);
  }
  return out;
}

enum class FilterType : uint8_t { request_headers, response_headers, redirect, rewrite, mirror };

void read_filter(const YamlValue& value, const std::string& ns, bool grpc, RouteRule& out) {
  const YamlMap map(value, {"type", "requestHeaderModifier", "responseHeaderModifier", "requestRedirect", "urlRewrite",
                            "requestMirror"});
  const auto type_value = map.require("type");
  if (!type_value) return;
  const auto type = type_value->one_of<FilterType>({{"RequestHeaderModifier", FilterType::request_headers},
                                                    {"ResponseHeaderModifier", FilterType::response_headers},
                                                    {"RequestRedirect", FilterType::redirect},
                                                    {"URLRewrite", FilterType::rewrite},
                                                    {"RequestMirror", FilterType::mirror}});
  if (!type) return;
  static constexpr std::string_view kFields[] = {"requestHeaderModifier", "responseHeaderModifier", "requestRedirect",
                                                 "urlRewrite", "requestMirror"};
  const auto body = map.require(kFields[static_cast<size_t>(*type)]);
  if (!body) return;
  if (grpc && (*type == FilterType::redirect || *type == FilterType::rewrite)) {
    type_value->fail("a GRPCRoute has no such filter");
    return;
  }
  switch (*type) {
    case FilterType::request_headers: read_header_change(*body, out.request_headers); break;
    case FilterType::response_headers: read_header_change(*body, out.response_headers); break;
    case FilterType::redirect: out.redirect = read_redirect(*body); break;
    case FilterType::rewrite: out.rewrite = read_rewrite(*body); break;
    case FilterType::mirror: out.mirrors.push_back(read_mirror(*body, ns)); break;
  }
}

// === matches ===

std::vector<ValueMatch> read_value_matches(const YamlMap& map, std::string_view key, bool header) {
  std::vector<ValueMatch> out;
  const auto list = map.get(key);
  if (!list) return out;
  for (const YamlValue& item : list->items()) {
    const YamlMap fields(item, {"type", "name", "value"});
    ValueMatch match;
    if (auto type = fields.get("type")) {
      match.type = type->one_of<MatchType>({{"Exact", MatchType::exact}, {"RegularExpression", MatchType::regex}})
                       .value_or(MatchType::exact);
    }
    if (auto name = fields.require("name")) match.name = header ? header_name(*name) : name->text();
    if (auto value = fields.require("value")) match.value = header ? header_value(*value) : value->text();
    out.push_back(std::move(match));
  }
  return out;
}

RouteMatch read_http_match(const YamlValue& value) {
  RouteMatch out;
  out.at = value.place();
  const YamlMap map(value, {"path", "headers", "queryParams", "method"});
  if (auto path = map.get("path")) {
    const YamlMap fields(*path, {"type", "value"});
    if (auto type = fields.get("type")) {
      out.path.type = type->one_of<MatchType>({{"Exact", MatchType::exact},
                                               {"PathPrefix", MatchType::prefix},
                                               {"RegularExpression", MatchType::regex}})
                          .value_or(MatchType::prefix);
    }
    if (auto text = fields.get("value")) {
      out.path.value = text->text();
      const bool regex = out.path.type == MatchType::regex;
      if (!regex && !out.path.value.starts_with('/')) text->fail("a path starts with a slash");
      const bool odd = out.path.value.find_first_of("?# \t\r\n") != std::string::npos;
      if (!regex && odd) text->fail("holds a character that no path may");
      if (regex && out.path.value.empty()) text->fail("is an empty expression");
    }
    // Like the Gateway API: `/a/` as a prefix matches what `/a` matches.
    if (out.path.type == MatchType::prefix) {
      while (out.path.value.size() > 1 && out.path.value.ends_with('/')) out.path.value.pop_back();
    }
  }
  out.headers = read_value_matches(map, "headers", true);
  out.query = read_value_matches(map, "queryParams", false);
  if (auto method = map.get("method")) {
    method->one_of<int>({{"GET", 0},
                         {"HEAD", 0},
                         {"POST", 0},
                         {"PUT", 0},
                         {"DELETE", 0},
                         {"CONNECT", 0},
                         {"OPTIONS", 0},
                         {"TRACE", 0},
                         {"PATCH", 0}});
    out.method = method->text();
  }
  return out;
}

// A gRPC method is a path: /package.Service/Method.
PathMatch grpc_path(const YamlValue& value) {
  const YamlMap map(value, {"type", "service", "method"});
  const std::string service = map.text("service");
  const std::string method = map.text("method");
  bool regex = false;
  if (auto type = map.get("type"))
    regex = type->one_of<bool>({{"Exact", false}, {"RegularExpression", true}}).value_or(false);
  if (service.empty() && method.empty()) {
    map.fail("names neither a service nor a method");
    return {};
  }
  if (!regex && (service + method).find_first_of("/?# ") != std::string::npos) {
    map.fail("holds a character that no service or method may");
  }
  if (regex) {
    return {MatchType::regex, "/" + (service.empty() ? "[^/]+" : service) + "/" + (method.empty() ? "[^/]+" : method)};
  }
  if (service.empty()) return {MatchType::regex, "/[^/]+/" + method};
  if (method.empty()) return {MatchType::prefix, "/" + service};
  return {MatchType::exact, "/" + service + "/" + method};
}

RouteMatch read_grpc_match(const YamlValue& value) {
  RouteMatch out;
  out.at = value.place();
  const YamlMap map(value, {"method", "headers"});
  if (auto method = map.get("method")) out.path = grpc_path(*method);
  out.headers = read_value_matches(map, "headers", true);
  return out;
}

// === rules ===

RouteRetry read_retry(const YamlValue& value) {
  RouteRetry out;
  const YamlMap map(value, {"codes", "attempts", "backoff"});
  if (auto codes = map.get("codes")) {
    for (const YamlValue& code : codes->items()) {
      if (auto number = code.number(400, 599)) out.codes.push_back(*number);
    }
  }
  if (auto attempts = map.get("attempts")) out.attempts = attempts->number(0, kMaxAttempts);
  if (auto backoff = map.get("backoff")) out.backoff = backoff->duration();
  return out;
}

RouteRule read_rule(const YamlValue& value, const std::string& ns, bool grpc) {
  RouteRule out;
  out.at = value.place();
  const YamlMap map(value, {"name", "matches", "filters", "backendRefs", "timeouts", "retry"});
  out.name = map.text("name");
  if (auto matches = map.get("matches")) {
    for (const YamlValue& item : matches->items()) {
      out.matches.push_back(grpc ? read_grpc_match(item) : read_http_match(item));
    }
    if (out.matches.size() > kMaxMatches)
      matches->fail("a rule has at most " + std::to_string(kMaxMatches) + " matches");
  }
  if (out.matches.empty()) out.matches.push_back({.at = out.at});
  if (auto filters = map.get("filters")) {
    for (const YamlValue& item : filters->items()) read_filter(item, ns, grpc, out);
  }
  if (auto backends = map.get("backendRefs")) {
    for (const YamlValue& item : backends->items()) out.backends.push_back(read_backend(item, ns));
    if (out.backends.size() > kMaxBackends) {
      backends->fail("a rule has at most " + std::to_string(kMaxBackends) + " backendRefs");
    }
  }
  if (auto timeouts = map.get("timeouts")) {
    const YamlMap fields(*timeouts, {"request", "backendRequest"});
    if (auto request = fields.get("request")) out.request_timeout = request->duration();
    if (auto backend = fields.get("backendRequest")) out.backend_timeout = backend->duration();
    const bool both = out.request_timeout && out.backend_timeout && *out.request_timeout > Milliseconds(0);
    if (both && *out.backend_timeout > *out.request_timeout) {
      timeouts->fail("backendRequest is longer than request, which would end it");
    }
  }
  if (auto retry = map.get("retry")) out.retry = read_retry(*retry);
  return out;
}

}  // namespace

Route read_route(Meta meta, const YamlMap& top, bool grpc) {
  Route out;
  out.meta = std::move(meta);
  out.grpc = grpc;
  const auto spec_value = top.require("spec");
  if (!spec_value) return out;
  const YamlMap spec(*spec_value, {"parentRefs", "rules", "hostnames"});
  if (auto hosts = spec.get("hostnames")) {
    hosts->fail("has no meaning for a route of a Service: its clients choose it by its address");
  }
  if (auto parents = spec.require("parentRefs")) {
    for (const YamlValue& item : parents->items()) out.parents.push_back(read_parent(item, out.meta.name.ns));
    if (out.parents.empty()) parents->fail("a route that is attached to nothing has no effect");
  }
  if (auto rules = spec.require("rules")) {
    for (const YamlValue& item : rules->items()) out.rules.push_back(read_rule(item, out.meta.name.ns, grpc));
  }
  return out;
}

}  // namespace pillion::xds::control
