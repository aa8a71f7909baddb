#include "proxy/route/router.h"

#include <doctest/doctest.h>

#include <map>
#include <string>

using namespace pillion;
using namespace pillion::route;

namespace {

using PathKind = config::PathMatcher::Kind;

config::Route make_route(std::string name, PathKind kind, std::string text) {
  config::Route r;
  r.name = std::move(name);
  r.match.path.kind = kind;
  r.match.path.text = std::move(text);
  return r;
}

config::HeaderMatcher header(std::string name, std::string value) {
  config::HeaderMatcher m;
  m.name = std::move(name);
  m.kind = config::HeaderMatcher::Kind::string;
  m.string.text = std::move(value);
  return m;
}

config::RouteConfiguration with(std::vector<config::Route> routes) {
  config::RouteConfiguration configuration;
  config::VirtualHost host;
  host.name = "all";
  host.domains = {"*"};
  host.routes = std::move(routes);
  configuration.virtual_hosts.push_back(std::move(host));
  configuration.build_index();
  return configuration;
}

struct Request {
  Arena arena;
  http::RequestHead head{arena};
  explicit Request(std::string_view path, std::string_view method = "GET", std::string_view authority = "test") {
    head.method = method;
    head.scheme = "http";
    head.authority = authority;
    head.path = path;
  }
};

std::string chosen(const config::RouteConfiguration& routes, const http::RequestHead& head) {
  Random random(1);
  const RouteMatch found = match(routes, head, random);
  return found.route != nullptr ? found.route->name : "-";
}

}  // namespace

TEST_CASE("router: the first route that matches wins, and the query is not part of the path") {
  std::vector<config::Route> list;
  list.push_back(make_route("exact", PathKind::exact, "/exact"));
  list.push_back(make_route("sep", PathKind::separated_prefix, "/sep"));
  list.push_back(make_route("first", PathKind::prefix, "/first"));
  list.push_back(make_route("second", PathKind::prefix, "/first/second"));
  list.push_back(make_route("slash", PathKind::prefix, "/s"));
  const config::RouteConfiguration routes = with(std::move(list));
  struct Case {
    const char *path, *want;
  };
  static constexpr Case kCases[] = {
      {"/exact", "exact"}, {"/exact?x=1", "exact"},      {"/exact/", "-"}, {"/sep?x", "sep"}, {"/sep/x", "sep"},
      {"/sepx", "slash"},  {"/first/second/x", "first"}, {"/none", "-"},   {"*", "-"},        {"", "-"},
      {"/%65xact", "-"},   {"/none?/first", "-"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.path);
    CHECK(chosen(routes, Request(c.path).head) == c.want);
  }
}

TEST_CASE("router: an authority that no virtual host has is told from a virtual host without a route") {
  config::RouteConfiguration routes = with({});
  Random random(1);
  CHECK(match(routes, Request("/").head, random).virtual_host == &routes.virtual_hosts[0]);
  CHECK(match(routes, Request("/").head, random).route == nullptr);
  routes.virtual_hosts[0].domains = {"other"};
  routes.build_index();
  CHECK(match(routes, Request("/").head, random).virtual_host == nullptr);
  CHECK(match(routes, Request("/", "GET", "OTHER").head, random).virtual_host != nullptr);
}

TEST_CASE("router: headers, pseudo-headers, query and gRPC must all match") {
  std::vector<config::Route> list;
  list.push_back(make_route("post", PathKind::prefix, "/"));
  list.back().match.headers = {header(":method", "POST"), header("x-a", "1")};
  list.push_back(make_route("authority", PathKind::prefix, "/"));
  list.back().match.headers = {header(":authority", "auth.test")};
  list.push_back(make_route("host", PathKind::prefix, "/"));
  list.back().match.headers = {header("host", "host.test")};
  list.push_back(make_route("path", PathKind::prefix, "/"));
  list.back().match.headers = {header(":path", "/m?q")};
  list.push_back(make_route("length", PathKind::prefix, "/"));
  list.back().match.headers = {header("content-length", "3")};
  list.push_back(make_route("scheme", PathKind::prefix, "/"));
  list.back().match.headers = {header(":scheme", "https")};
  list.push_back(make_route("query", PathKind::prefix, "/"));
  config::StringMatcher one;
  one.text = "1";
  list.back().match.query = {{"a", one, true}, {"b", std::nullopt, true}};
  list.push_back(make_route("grpc", PathKind::prefix, "/"));
  list.back().match.grpc_only = true;
  const config::RouteConfiguration routes = with(std::move(list));

  Request post("/", "POST");
  CHECK(chosen(routes, post.head) == "-");
  post.head.headers.add("X-A", "0");
  post.head.headers.add("X-A", "1");
  CHECK(chosen(routes, post.head) == "post");
  CHECK(chosen(routes, Request("/", "GET", "auth.test").head) == "authority");
  CHECK(chosen(routes, Request("/", "GET", "host.test").head) == "host");
  CHECK(chosen(routes, Request("/m?q").head) == "path");
  Request length("/");
  length.head.content_length = 3;
  CHECK(chosen(routes, length.head) == "length");
  Request secure("/");
  secure.head.scheme = "https";
  CHECK(chosen(routes, secure.head) == "scheme");
  CHECK(chosen(routes, Request("/?b=&a=1").head) == "query");
  CHECK(chosen(routes, Request("/?a=1").head) == "-");
  Request grpc("/");
  grpc.head.headers.add("content-type", "application/grpc+proto");
  CHECK(chosen(routes, grpc.head) == "grpc");
  Request web("/");
  web.head.headers.add("content-type", "application/grpc-web");
  CHECK(chosen(routes, web.head) == "-");
}

TEST_CASE("router: CONNECT is matched by its own matcher alone") {
  std::vector<config::Route> list;
  list.push_back(make_route("prefix", PathKind::prefix, "/"));
  list.push_back(make_route("connect", PathKind::connect, ""));
  const config::RouteConfiguration routes = with(std::move(list));
  CHECK(chosen(routes, Request("", "CONNECT").head) == "connect");
  CHECK(chosen(routes, Request("/").head) == "prefix");
  CHECK(chosen(routes, Request("*", "OPTIONS").head) == "-");
}

TEST_CASE("router: a fraction of the requests takes a route") {
  std::vector<config::Route> list;
  for (const auto& [name, numerator, denominator] :
       {std::tuple{"never", 0u, 100u}, std::tuple{"some", 300'000u, 1'000'000u}, std::tuple{"always", 100u, 100u}}) {
    list.push_back(make_route(name, PathKind::prefix, "/"));
    list.back().match.fraction = config::FractionalPercent{numerator, denominator};
  }
  const config::RouteConfiguration routes = with(std::move(list));
  Random random(7);
  std::map<std::string, int> counts;
  const Request request("/");
  for (int i = 0; i < 10'000; ++i) ++counts[match(routes, request.head, random).route->name];
  CHECK(counts["never"] == 0);
  CHECK(counts["some"] > 2'800);
  CHECK(counts["some"] < 3'200);
  CHECK(counts["always"] == 10'000 - counts["some"]);
}

TEST_CASE("router: values of headers by name, repeated ones joined") {
  Request request("/p?q", "PUT", "Host.test");
  request.head.content_length = 18446744073709551615u;
  request.head.headers.add("X-One", "1");
  request.head.headers.add("x-two", "a");
  request.head.headers.add("X-TWO", "b");
  struct Case {
    const char* name;
    std::optional<std::string_view> want;
  };
  const Case cases[] = {
      {":path", "/p?q"},
      {":method", "PUT"},
      {":authority", "Host.test"},
      {":scheme", "http"},
      {"host", "Host.test"},
      {"x-one", "1"},
      {"x-two", "a,b"},
      {"x-none", std::nullopt},
      {":status", std::nullopt},
      {"content-length", "18446744073709551615"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(header_value(request.head, c.name) == c.want);
  }
  request.head.content_length.reset();
  CHECK_FALSE(header_value(request.head, "content-length").has_value());
}

TEST_CASE("router: clusters by weight") {
  config::RouteAction action;
  Random random(3);
  CHECK(pick_cluster(action, random) == nullptr);
  for (const auto& [name, weight] : {std::pair{"zero", 0u}, std::pair{"a", 1u}, std::pair{"b", 3u}}) {
    config::WeightedCluster cluster;
    cluster.cluster = name;
    cluster.weight = weight;
    action.clusters.push_back(cluster);
  }
  action.total_weight = 4;
  std::map<std::string, int> counts;
  for (int i = 0; i < 10'000; ++i) ++counts[pick_cluster(action, random)->cluster];
  CHECK(counts["zero"] == 0);
  CHECK(counts["a"] > 2'300);
  CHECK(counts["a"] < 2'700);
  action.clusters.resize(2);
  CHECK(pick_cluster(action, random) != nullptr);  // also where total_weight is too large
  action.clusters.resize(1);
  CHECK(pick_cluster(action, random)->cluster == "zero");
}
