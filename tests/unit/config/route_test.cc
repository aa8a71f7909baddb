#include "proxy/config/route.h"

#include <doctest/doctest.h>

#include <bit>

#include <string>

using namespace pillion::config;

namespace {

RouteConfiguration hosts(std::initializer_list<std::pair<const char*, std::vector<std::string>>> list) {
  RouteConfiguration routes;
  for (const auto& [name, domains] : list) {
    VirtualHost host;
    host.name = name;
    host.domains = domains;
    routes.virtual_hosts.push_back(std::move(host));
  }
  routes.build_index();
  return routes;
}

std::string name_of(const VirtualHost* host) {
  return host != nullptr ? host->name : "-";
}

struct Case {
  std::string authority;
  const char* want;
};

}  // namespace

TEST_CASE("route configuration: exact hosts before suffixes before prefixes before the star, the longest first") {
  const RouteConfiguration routes = hosts({{"exact", {"exact.test", "port.test:8080"}},
                                           {"suffix", {"*.suffix.test", "*-dash.test"}},
                                           {"long", {"*.long.suffix.test"}},
                                           {"prefix", {"prefix.*"}},
                                           {"prefix.a", {"prefix.a.*"}},
                                           {"both", {"prefix.suffix.test"}},
                                           {"all", {"*"}}});
  const Case cases[] = {
      {"exact.test", "exact"},
      {"EXACT.Test", "exact"},
      {"exact.test:80", "all"},
      {"port.test:8080", "exact"},
      {"port.test", "all"},
      {"a.suffix.test", "suffix"},
      {"a.b.Suffix.test", "suffix"},
      {".suffix.test", "all"},
      {"suffix.test", "all"},
      {"x-dash.test", "suffix"},
      {"-dash.test", "all"},
      {"a.long.suffix.test", "long"},
      {".long.suffix.test", "suffix"},
      {"prefix.org", "prefix"},
      {"prefix.", "all"},
      {"prefix.a.org", "prefix.a"},
      {"prefix.suffix.test", "both"},
      {"prefix.b.suffix.test", "suffix"},
      {"", "all"},
      {std::string(5000, 'A') + ".suffix.test", "suffix"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.authority);
    CHECK(name_of(routes.find(c.authority)) == c.want);
  }
}

TEST_CASE("route configuration: without a star a host may be nobody's, and the first of two equal domains counts") {
  const RouteConfiguration routes = hosts({{"a", {"one.test"}}, {"b", {"one.test", "*.x"}}, {"c", {"*.x"}}});
  CHECK(name_of(routes.find("one.test")) == "a");
  CHECK(name_of(routes.find("q.x")) == "b");
  CHECK(name_of(routes.find("two.test")) == "-");
  CHECK(name_of(hosts({}).find("x")) == "-");
  CHECK(name_of(hosts({{"all", {"*"}}, {"again", {"*"}}}).find("x:1")) == "all");
}

// Each row was asked of Envoy 1.40.
TEST_CASE("route configuration: the port is left out of the comparison when that is asked for") {
  RouteConfiguration routes = hosts({{"exact", {"exact.test"}},
                                     {"port", {"port.test:81"}},
                                     {"suffix", {"*.test"}},
                                     {"v6", {"[::1]"}},
                                     {"p", {"pre.*"}}});
  routes.ignore_port_in_host = true;
  const Case cases[] = {
      {"exact.test:80", "exact"}, {"exact.test", "exact"},   {"port.test:81", "suffix"},
      {"x.test:9", "suffix"},     {"[::1]:80", "v6"},        {"[::1]", "v6"},
      {"pre.org:80", "p"},        {"EXACT.test:x", "exact"}, {"exact.test:80:80", "-"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.authority);
    CHECK(name_of(routes.find(c.authority)) == c.want);
  }
}

TEST_CASE("retry_on: every name has its own bit, and unknown names are told") {
  static constexpr const char* kNames[] = {"5xx",
                                           "gateway-error",
                                           "reset",
                                           "connect-failure",
                                           "refused-stream",
                                           "retriable-4xx",
                                           "retriable-status-codes",
                                           "retriable-headers",
                                           "reset-before-request",
                                           "envoy-ratelimited",
                                           "cancelled",
                                           "deadline-exceeded",
                                           "internal",
                                           "resource-exhausted",
                                           "unavailable"};
  uint32_t all = 0;
  std::string list;
  for (const char* name : kNames) {
    CAPTURE(name);
    const uint32_t bit = parse_retry_on(name, nullptr);
    CHECK(std::popcount(bit) == 1);
    CHECK((all & bit) == 0);
    all |= bit;
    list += std::string(" ") + name + ",";
  }
  std::vector<std::string> unknown;
  CHECK(parse_retry_on(list, &unknown) == all);
  CHECK(unknown.empty());
  CHECK(parse_retry_on("5xx,5XX, http3-post-connect-failure ,,reset", &unknown) ==
        (static_cast<uint32_t>(RetryOn::server_error) | static_cast<uint32_t>(RetryOn::reset)));
  CHECK(unknown == std::vector<std::string>{"5XX", "http3-post-connect-failure"});
  CHECK(parse_retry_on("", nullptr) == 0);
}
