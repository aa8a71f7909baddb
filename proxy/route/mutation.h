// What a route changes in a request and a response: headers added and removed (route.v3 HeaderValueOption), paths and
// hosts rewritten, redirects. Values are built in the arena of the head.
#pragma once

#include <string>

#include "proxy/config/format.h"
#include "proxy/config/route.h"
#include "proxy/http/message.h"
#include "proxy/route/router.h"

namespace pillion::route {

// In Envoy's order: weighted cluster, route, virtual host, route configuration (the other way round with
// most_specific_header_mutations_wins); each level removes first… see the .cc for the source. `cluster` may be null.
// Headers that may not be touched (Host and pseudo-headers by remove, …) are left alone as Envoy does.
void mutate_request(const config::RouteConfiguration& routes, const RouteMatch& match,
                    const config::WeightedCluster* cluster, const config::FormatSource& values,
                    http::RequestHead& head);
void mutate_response(const config::RouteConfiguration& routes, const RouteMatch& match,
                     const config::WeightedCluster* cluster, const config::FormatSource& values,
                     http::ResponseHead& head);

// Path and authority for the endpoint; sets x-envoy-original-path and x-forwarded-host as Envoy does.
// auto_host_rewrite is the attempt's business: it depends on the endpoint.
void rewrite_request(const config::RouteAction& action, const config::Route& route,
                     const config::WeightedCluster* cluster, http::RequestHead& head);

// The Location of a redirect.
std::string redirect_location(const config::RedirectAction& action, const config::Route& route,
                              const http::RequestHead& head);

}  // namespace pillion::route
