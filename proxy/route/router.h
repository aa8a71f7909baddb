// Which route a request takes. Pure: the same function serves the data path and an explanation of it.
#pragma once

#include <optional>
#include <string_view>

#include "proxy/base/random.h"
#include "proxy/config/route.h"
#include "proxy/http/message.h"

namespace pillion::route {

struct RouteMatch {
  const config::VirtualHost* virtual_host = nullptr;
  const config::Route* route = nullptr;  // null: no virtual host, or none of its routes
};

// `random` decides runtime_fraction; it is drawn from at most once per route that has one.
RouteMatch match(const config::RouteConfiguration& routes, const http::RequestHead& head, Random& random);

// The values a matcher looks at: pseudo-headers by ":name", all fields of a name joined by ",".
std::optional<std::string_view> header_value(const http::RequestHead& head, std::string_view lower_name);

// One of the action's clusters by weight; null where the action names a cluster_header instead, whose value
// header_value() gives.
const config::WeightedCluster* pick_cluster(const config::RouteAction& action, Random& random);

}  // namespace pillion::route
