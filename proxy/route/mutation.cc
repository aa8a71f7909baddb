#include "proxy/route/mutation.h"

#include <array>
#include <span>

#include "proxy/http/fields.h"
#include "proxy/http/validate.h"

namespace pillion::route {
namespace {

using Action = config::HeaderToAdd::Action;

// One of the four levels, in one direction.
struct Level {
  std::span<const config::HeaderToAdd> add;
  std::span<const std::string> remove;
};

void apply(Action action, std::string_view name, std::string_view value, http::HeaderMap& headers) {
  if (action == Action::overwrite_if_exists || action == Action::overwrite_if_exists_or_add) {
    headers.set(name, value);
  } else {
    http::append_field(name, value, headers);
  }
}

struct Pending {
  std::string_view name, value;
  Action action;
};

// Whether this addition happens at all, seen from the head before the level's additions.
bool applies(const config::HeaderToAdd& entry, const http::HeaderMap& headers) {
  if (!http::may_change_field(entry.name)) return false;
  switch (entry.action) {
    case Action::add_if_absent: return headers.find(entry.name) == nullptr;
    case Action::overwrite_if_exists: return headers.find(entry.name) != nullptr;
    default: return true;
  }
}

bool overwrites(Action action) {
  return action == Action::overwrite_if_exists || action == Action::overwrite_if_exists_or_add;
}

void apply_level(const Level& level, const config::FormatSource& values, std::string& scratch,
                 http::HeaderMap& headers) {
  for (const std::string& name : level.remove) http::remove_field(name, headers);
  if (level.add.empty()) return;
  Arena& arena = headers.arena();
  auto* const pending =
      reinterpret_cast<Pending*>(arena.allocate(level.add.size() * sizeof(Pending), alignof(Pending)));
  size_t count = 0;
  for (const config::HeaderToAdd& entry : level.add) {
    if (!applies(entry, headers)) continue;
    scratch.clear();
    config::render(entry.value, values, "", scratch);
    const std::string_view value = http::trim_ows(scratch);
    if ((value.empty() && !entry.keep_empty_value) || !http::is_field_value(value)) continue;
    new (&pending[count++]) Pending{arena.copy(entry.name), arena.copy(value), entry.action};
  }
  const std::span<const Pending> all(pending, count);
  for (const bool first : {true, false}) {
    for (const Pending& p : all) {
      if (overwrites(p.action) == first) apply(p.action, p.name, p.value, headers);
    }
  }
}

Level request_level(const config::HeaderMutations* mutations) {
  if (mutations == nullptr) return {};
  return {mutations->request_add, mutations->request_remove};
}

Level response_level(const config::HeaderMutations* mutations) {
  if (mutations == nullptr) return {};
  return {mutations->response_add, mutations->response_remove};
}

using Levels = std::array<const config::HeaderMutations*, 4>;

// In the order in which they are applied.
Levels levels_of(const config::RouteConfiguration& routes, const RouteMatch& match,
                 const config::WeightedCluster* cluster) {
  const config::HeaderMutations* const of_cluster = cluster != nullptr ? &cluster->mutations : nullptr;
  const config::HeaderMutations* const of_route = match.route != nullptr ? &match.route->mutations : nullptr;
  const config::HeaderMutations* const of_host =
      match.virtual_host != nullptr ? &match.virtual_host->mutations : nullptr;
  if (routes.most_specific_mutations_last) return {of_cluster, &routes.mutations, of_host, of_route};
  return {of_cluster, of_route, of_host, &routes.mutations};
}

}  // namespace

void mutate_request(const config::RouteConfiguration& routes, const RouteMatch& match,
                    const config::WeightedCluster* cluster, const config::FormatSource& values,
                    http::RequestHead& head) {
  std::string scratch;
  for (const config::HeaderMutations* mutations : levels_of(routes, match, cluster)) {
    apply_level(request_level(mutations), values, scratch, head.headers);
  }
}

void mutate_response(const config::RouteConfiguration& routes, const RouteMatch& match,
                     const config::WeightedCluster* cluster, const config::FormatSource& values,
                     http::ResponseHead& head) {
  std::string scratch;
  for (const config::HeaderMutations* mutations : levels_of(routes, match, cluster)) {
    apply_level(response_level(mutations), values, scratch, head.headers);
  }
}

void remove_internal_only(const config::RouteConfiguration& routes, http::RequestHead& head) {
  for (const std::string& name : routes.internal_only_headers) http::remove_field(name, head.headers);
}

}  // namespace pillion::route
