// The routes' part of check_model.
#include <algorithm>
#include <map>

#include "xds/api/nearest.h"
#include "xds/control/model_check.h"

namespace pillion::xds::control {

namespace {

class RouteChecker {
 public:
  RouteChecker(const Model& model, std::vector<Problem>& out) : model_(model), out_(out) {}

  void check(const Route& route) {
    for (const ParentRef& parent : route.parents) check_parent(parent);
    for (const RouteRule& rule : route.rules) check_rule(rule);
    check_overlaps(route);
  }

 private:
  const Service* find_service(const Name& name, const Place& at) {
    auto it = model_.services.find(name);
    if (it != model_.services.end()) return &it->second;
    std::vector<std::string_view> names;
    for (const auto& [other, unused] : model_.services) {
      if (other.ns == name.ns) names.push_back(other.name);
    }
    const std::string missing = object_name("Service", name);
    const auto near = nearest(name.name, names);
    add(at, missing + " does not exist" + (near ? "; did you mean " + std::string(*near) + "?" : ""), "", missing);
    return nullptr;
  }

  void check_parent(const ParentRef& parent) {
    const Service* service = find_service(parent.service, parent.at);
    if (service == nullptr) return;
    const std::string who = object_name("Service", parent.service);
    const ServicePort* port = nullptr;
    if (!parent.section_name.empty()) {
      port = service->port_named(parent.section_name);
      if (port == nullptr) add(parent.at, who + " has no port named " + parent.section_name, service->meta.at.file);
    }
    if (parent.port != 0) {
      port = service->port(parent.port);
      if (port == nullptr) add(parent.at, who + " has no port " + std::to_string(parent.port), service->meta.at.file);
    }
    auto carries = [](const ServicePort& p) { return p.protocol != Protocol::tcp && !p.udp; };
    const bool any = port != nullptr ? carries(*port) : std::ranges::any_of(service->ports, carries);
    const bool named = parent.port != 0 || !parent.section_name.empty();
    if (!any && (port != nullptr || !named)) {
      add(parent.at, who + " has no HTTP port here: its ports are declared as tcp", service->meta.at.file);
    }
  }

  void check_backend(const BackendRef& backend) {
    const Service* service = find_service(backend.service, backend.at);
    if (service == nullptr) return;
    const std::string who = object_name("Service", backend.service);
    const ServicePort* port = service->port(backend.port);
    if (port == nullptr) {
      add(backend.at, who + " has no port " + std::to_string(backend.port), service->meta.at.file);
    } else if (port->protocol == Protocol::tcp) {
      add(backend.at, "port " + std::to_string(backend.port) + " of " + who + " is declared as tcp, not as HTTP",
          service->meta.at.file);
    }
  }

  void check_rule(const RouteRule& rule) {
    for (const BackendRef& backend : rule.backends) check_backend(backend);
    for (const Mirror& mirror : rule.mirrors) check_backend(mirror.backend);
    if (rule.redirect && !rule.backends.empty()) add(rule.at, "a redirect is answered here, so it has no backendRefs");
    if (rule.redirect && rule.rewrite) add(rule.at, "a rule cannot redirect and rewrite");
    if (!rule.redirect && rule.backends.empty()) add(rule.at, "has no backendRefs, so that every request would fail");
    const bool by_prefix = (rule.redirect && rule.redirect->path && rule.redirect->path->prefix) ||
                           (rule.rewrite && rule.rewrite->path && rule.rewrite->path->prefix);
    for (const RouteMatch& match : rule.matches) {
      if (!by_prefix || match.path.type == MatchType::prefix) continue;
      add(match.at, "ReplacePrefixMatch needs a match by PathPrefix");
    }
  }

  // Two equal matches at one parent: the second can never be reached. A route of another namespace than its service
  // speaks only for the clients of its own namespace, so it competes only there.
  void check_overlaps(const Route& route) {
    for (const ParentRef& parent : route.parents) {
      const std::string scope = route.meta.name.ns == parent.service.ns ? "" : route.meta.name.ns;
      const std::string where = scope + "|" + parent.service.to_string() + "|" + std::to_string(parent.port) + "|" +
                                parent.section_name + "|";
      for (const RouteRule& rule : route.rules) {
        for (const RouteMatch& match : rule.matches) {
          auto [it, fresh] = seen_.emplace(where + key_of(match), &match);
          if (fresh || it->second == &match) continue;
          const Place& first = it->second->at;
          add(match.at, "is never reached: the same match stands at " + first.to_string(), first.file);
        }
      }
    }
  }

  static std::string key_of(const RouteMatch& match) {
    auto lists = [](std::vector<ValueMatch> values, char mark, bool fold) {
      std::string out;
      std::ranges::sort(values, {}, [](const ValueMatch& v) { return std::tie(v.name, v.value); });
      for (const ValueMatch& v : values) {
        std::string name = v.name;
        if (fold) std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
        out += mark + name + (v.type == MatchType::regex ? "~" : "=") + v.value;
      }
      return out;
    };
    return std::to_string(static_cast<int>(match.path.type)) + match.path.value + "\n" + match.method +
           lists(match.headers, '\n', true) + lists(match.query, '\r', false);
  }

  void add(const Place& at, std::string reason, std::string other_file = "", std::string missing = "") {
    out_.push_back({at.error(std::move(reason)), std::move(other_file), std::move(missing)});
  }

  const Model& model_;
  std::vector<Problem>& out_;
  std::map<std::string, const RouteMatch*> seen_;
};

}  // namespace

void check_routes(const Model& model, std::vector<Problem>& out) {
  RouteChecker checker(model, out);
  for (const auto& [name, route] : model.http_routes) checker.check(route);
  for (const auto& [name, route] : model.grpc_routes) checker.check(route);
}

}  // namespace pillion::xds::control
