// What a route changes in a request and a response: headers added and removed (route.v3 HeaderValueOption), paths and
// hosts rewritten, redirects. Values are built in the arena of the head.
#pragma once

#include <string>

#include "proxy/config/format.h"
#include "proxy/config/route.h"
#include "proxy/http/message.h"
#include "proxy/route/router.h"

namespace pillion::route {

// In Envoy's order: weighted cluster, route, virtual host, route configuration; with
// most_specific_header_mutations_wins: weighted cluster, route configuration, virtual host, route. Each level removes
// first; then its values are made from the head as it is, replacements are set, and additions are added last. A value
// that is empty is not added unless keep_empty_value says so; one that is no field value (RFC 9110 5.5) never is.
// `cluster` and match.route may be null. Pseudo-headers, Host and the fields of a connection's framing are left alone.
//
// A field that has one value by its definition grows by ",value" where another field would be added.
void mutate_request(const config::RouteConfiguration& routes, const RouteMatch& match,
                    const config::WeightedCluster* cluster, const config::FormatSource& values,
                    http::RequestHead& head);
void mutate_response(const config::RouteConfiguration& routes, const RouteMatch& match,
                     const config::WeightedCluster* cluster, const config::FormatSource& values,
                     http::ResponseHead& head);

// internal_only_headers: for requests that do not come from inside.
void remove_internal_only(const config::RouteConfiguration& routes, http::RequestHead& head);

// Path and authority for the endpoint, after mutate_request: a host may come from a header that was just added. Tells
// the endpoint what was there before in x-envoy-original-path, x-envoy-original-host (unless `suppress_envoy_headers`)
// and x-forwarded-host (append_x_forwarded_host). auto_host_rewrite is the attempt's business: it depends on the
// endpoint, and uses rewrite_authority().
void rewrite_request(const config::RouteAction& action, const config::Route& route,
                     const config::WeightedCluster* cluster, http::RequestHead& head,
                     bool suppress_envoy_headers = false);
// `host` must live in the arena or longer. One that is no authority (RFC 3986 3.2) changes nothing.
void rewrite_authority(std::string_view host, bool append_x_forwarded_host, bool suppress_envoy_headers,
                       http::RequestHead& head);

// The Location of a redirect. The scheme is the head's, or x-forwarded-proto's where it has none, or http.
std::string redirect_location(const config::RedirectAction& action, const config::Route& route,
                              const http::RequestHead& head);

}  // namespace pillion::route
