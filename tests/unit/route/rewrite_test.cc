#include <doctest/doctest.h>

#include <string>

#include "proxy/route/mutation.h"

using namespace pillion;
using PathKind = config::PathMatcher::Kind;

namespace {

std::shared_ptr<const config::Regex> regex(std::string_view pattern) {
  auto compiled = config::Regex::compile(pattern);
  REQUIRE(compiled.has_value());
  return *compiled;
}

struct Request {
  Arena arena;
  http::RequestHead head{arena};
  explicit Request(std::string_view path, std::string_view authority = "test") {
    head.method = "GET";
    head.scheme = "http";
    head.authority = authority;
    head.path = path;
  }
  std::string value(std::string_view name) const { return std::string(head.headers.get_all(name).value_or("-")); }
};

config::Route matched_by(PathKind kind, std::string text) {
  config::Route route;
  route.match.path.kind = kind;
  route.match.path.text = std::move(text);
  return route;
}

}  // namespace

TEST_CASE("rewrite: the path by prefix, by regex and as a whole; the query stays and the old path is told") {
  struct Case {
    const char* name;
    PathKind kind;
    const char *matched, *prefix, *pattern, *substitution, *whole;
    const char *path, *want;
  };
  static constexpr Case kCases[] = {
      {"prefix", PathKind::prefix, "/pre/", "/new/", nullptr, "", "", "/pre/x?a=/pre/", "/new/x?a=/pre/"},
      {"nothing after the prefix", PathKind::prefix, "/pre/", "/new/", nullptr, "", "", "/pre/", "/new/"},
      {"the root doubles the slash", PathKind::prefix, "/root", "/", nullptr, "", "", "/root/x", "//x"},
      {"the root", PathKind::prefix, "/root", "/", nullptr, "", "", "/root", "/"},
      {"exact", PathKind::exact, "/exact", "/changed", nullptr, "", "", "/exact?q", "/changed?q"},
      {"separated prefix", PathKind::separated_prefix, "/sep", "/s2", nullptr, "", "", "/sep/x", "/s2/x"},
      {"a prefix in other letters", PathKind::prefix, "/Ci", "/ci", nullptr, "", "", "/cI/x?y", "/ci/x?y"},
      {"what a regex matched", PathKind::regex, "", "/rr2", nullptr, "", "", "/rr/a?b", "/rr2?b"},
      {"regex", PathKind::prefix, "/rx", nullptr, "^/rx/([^/]+)/([^/?]+)", "/\\2/\\1", "", "/rx/one/two/r?q=1",
       "/two/one/r?q=1"},
      {"regex leaves the query alone", PathKind::prefix, "/rx", nullptr, "b", "B", "", "/rx/b?b", "/rx/B?b"},
      {"regex that does not match", PathKind::prefix, "/rx", nullptr, "zz", "B", "", "/rx/b?b", "/rx/b?b"},
      {"whole", PathKind::prefix, "/", nullptr, nullptr, "", "/all", "/any/thing?q", "/all?q"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    config::RouteAction action;
    if (c.prefix != nullptr) action.prefix_rewrite = c.prefix;
    if (c.pattern != nullptr) action.regex_rewrite = regex(c.pattern);
    action.regex_substitution = c.substitution;
    action.path_rewrite = c.whole;
    for (const bool suppress : {false, true}) {
      Request request(c.path);
      route::rewrite_request(action, matched_by(c.kind, c.matched), nullptr, request.head, suppress);
      CHECK(request.head.path == c.want);
      CHECK(request.value("x-envoy-original-path") == (suppress ? "-" : c.path));
    }
  }
}

TEST_CASE("rewrite: nothing happens where nothing is configured, nor to CONNECT, nor by a rewrite to nothing") {
  Request request("/same?q=1");
  route::rewrite_request({}, matched_by(PathKind::prefix, "/"), nullptr, request.head);
  CHECK(request.head.path == "/same?q=1");
  CHECK(request.head.headers.size() == 0);
  config::RouteAction action;
  action.prefix_rewrite = "/x";
  Request connect("");
  route::rewrite_request(action, matched_by(PathKind::connect, ""), nullptr, connect.head);
  CHECK(connect.head.path.empty());
  action.prefix_rewrite = "";
  Request empty("/a");
  route::rewrite_request(action, matched_by(PathKind::prefix, "/a"), nullptr, empty.head);
  CHECK(empty.head.path == "/a");
  CHECK(empty.head.headers.size() == 0);
}

TEST_CASE("rewrite: the host, and what is told of the old one") {
  config::RouteAction literal, header, path;
  literal.host_rewrite = "lit.test";
  header.host_rewrite_header = "x-new-host";
  path.host_rewrite_path_regex = regex("^/pathhost/([^/]+).*");
  path.host_rewrite_path_substitution = "\\1.test";
  struct Case {
    const char* name;
    const config::RouteAction* action;
    const char *target, *new_host, *cluster_host;
    const char *want, *original;
  };
  const Case cases[] = {
      {"literal", &literal, "/", "", "", "lit.test", "test"},
      {"header", &header, "/", "new.test", "", "new.test", "test"},
      {"header that is missing", &header, "/", "", "", "test", "-"},
      {"header that is no host", &header, "/", "a b", "", "test", "-"},
      {"path", &path, "/pathhost/abc/d?q", "", "", "abc.test", "test"},
      {"path that gives no host", &path, "/x/y", "", "", "test", "-"},
      {"weighted cluster", &header, "/", "", "wc.test", "wc.test", "-"},
      {"the route's behind the weighted cluster's", &literal, "/", "", "wc.test", "lit.test", "wc.test"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Request request(c.target);
    if (c.new_host[0] != '\0') request.head.headers.add("X-New-Host", c.new_host);
    config::WeightedCluster cluster;
    cluster.host_rewrite = c.cluster_host;
    route::rewrite_request(*c.action, matched_by(PathKind::prefix, "/"), &cluster, request.head);
    CHECK(request.head.authority == c.want);
    CHECK(request.value("x-envoy-original-host") == c.original);
    CHECK(request.value("x-forwarded-host") == "-");
  }
}

TEST_CASE("rewrite: x-forwarded-host grows by the old host unless it ends with it") {
  config::RouteAction action;
  action.host_rewrite = "lit.test";
  action.append_x_forwarded_host = true;
  struct Case {
    const char *before, *want;
  };
  static constexpr Case kCases[] = {{"", "test"}, {"test", "test"}, {"o.test", "o.test,test"}, {"a, test", "a, test"}};
  for (const Case& c : kCases) {
    CAPTURE(c.before);
    Request request("/");
    if (c.before[0] != '\0') request.head.headers.add("x-forwarded-host", c.before);
    route::rewrite_request(action, matched_by(PathKind::prefix, "/"), nullptr, request.head);
    CHECK(request.value("x-forwarded-host") == c.want);
  }
}

// The rows were asked of Envoy 1.40.
TEST_CASE("redirect: scheme, host, port, path and query of the location") {
  const auto action = [](auto change) {
    config::RedirectAction a;
    change(a);
    return a;
  };
  using A = config::RedirectAction;
  const A host = action([](A& a) { a.host = "other.test"; });
  const A path = action([](A& a) { a.path = "/moved"; });
  const A own_query = action([](A& a) { a.path = "/moved?own=1"; });
  const A prefix = action([](A& a) { a.prefix_rewrite = "/n"; });
  const A by_regex = action([](A& a) {
    a.regex_rewrite = regex("^/r/rx/(.*)$");
    a.regex_substitution = "/x/\\1";
  });
  const A https = action([](A& a) { a.https = true; });
  const A scheme = action([](A& a) { a.scheme = "ftp"; });
  const A port = action([](A& a) { a.port = 8443; });
  const A all = action([](A& a) {
    a.https = true;
    a.host = "o.test";
    a.port = 99;
    a.path = "/p";
  });
  const A strip = action([](A& a) {
    a.host = "o.test";
    a.strip_query = true;
  });
  const A strip_own = action([](A& a) {
    a.path = "/p?own";
    a.strip_query = true;
  });
  const A https_443 = action([](A& a) {
    a.https = true;
    a.port = 443;
  });
  struct Case {
    const A* action;
    const char *authority, *target, *want;
  };
  const Case cases[] = {
      {&host, "test", "/r?q=1", "http://other.test/r?q=1"},
      {&host, "h:8080", "/r?q", "http://other.test/r?q"},
      {&path, "test", "/r?q=1", "http://test/moved?q=1"},
      {&own_query, "test", "/r?q=1", "http://test/moved?own=1"},
      {&prefix, "test", "/r/x?q=1", "http://test/n/x?q=1"},
      {&by_regex, "test", "/r/rx/a/b?q=1", "http://test/x/a/b?q=1"},
      {&https, "test", "/r/a?q", "https://test/r/a?q"},
      {&https, "h.test:80", "/r", "https://h.test/r"},
      {&https, "h.test:8080", "/r", "https://h.test:8080/r"},
      {&https, "[::1]:80", "/r", "https://[::1]/r"},
      {&https, "[::1]", "/r", "https://[::1]/r"},
      {&scheme, "test", "/r", "ftp://test/r"},
      {&port, "test", "/r", "http://test:8443/r"},
      {&port, "h.test:8080", "/r", "http://h.test:8443/r"},
      {&port, "[::1]:8080", "/r", "http://[::1]:8443/r"},
      {&all, "test", "/r", "https://o.test:99/p"},
      {&strip, "test", "/r?secret=1", "http://o.test/r"},
      {&strip_own, "h", "/r?q", "http://h/p?own"},
      {&https_443, "[::1]:80", "/r", "https://[::1]:443/r"},
      {&https_443, "", "/r", "https://:443/r"},
      {&path, "h.test:80", "/r", "http://h.test:80/moved"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.authority);
    CAPTURE(c.want);
    const Request request(c.target, c.authority);
    CHECK(route::redirect_location(*c.action, matched_by(PathKind::prefix, "/r"), request.head) == c.want);
  }
}

TEST_CASE("redirect: the port belongs to the scheme that the client used") {
  config::RedirectAction to_http, to_https;
  to_http.scheme = "http";
  to_https.https = true;
  const config::Route route = matched_by(PathKind::prefix, "/");
  Request behind_tls("/", "h:443");
  behind_tls.head.scheme = "https";
  CHECK(route::redirect_location(to_http, route, behind_tls.head) == "http://h/");
  Request terminated("/", "h:80");
  terminated.head.headers.add("x-forwarded-proto", "https");
  CHECK(route::redirect_location(to_https, route, terminated.head) == "https://h:80/");
  Request unknown("/", "h");
  unknown.head.scheme = "";
  CHECK(route::redirect_location({}, route, unknown.head) == "http://h/");
  unknown.head.headers.add("x-forwarded-proto", "https");
  CHECK(route::redirect_location({}, route, unknown.head) == "https://h/");
}
