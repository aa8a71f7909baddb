#include <envoy/config/route/v3/route.pb.h>

#include "tests/unit/xds_translate/support.h"

namespace pillion::xds {

using namespace testing;
using Message = envoy::config::route::v3::RouteConfiguration;

namespace {

std::string with_route(const std::string& route) {
  return "{name: r, virtual_hosts: [{name: v, domains: [\"*\"], routes: [" + route + "]}]}";
}

std::shared_ptr<const config::RouteConfiguration> good(const std::string& yaml) {
  auto out = translate_route_configuration(read<Message>(yaml));
  REQUIRE_MESSAGE(out.has_value(), error_of(out) << "\n" << yaml);
  return *out;
}

config::Route good_route(const std::string& route) {
  return good(with_route(route))->virtual_hosts.at(0).routes.at(0);
}

config::RouteAction good_action(const std::string& action) {
  return std::get<config::RouteAction>(good_route("{match: {prefix: /}, route: " + action + "}").action);
}

}  // namespace

TEST_CASE("routes: virtual hosts are found by their domains, without case") {
  const auto r = good(
      "{name: r, virtual_hosts: [{name: one, domains: [One.Test, \"*.one.test\"], require_tls: ALL}, {name: rest, "
      "domains: [\"*\"], include_request_attempt_count: true}]}");
  REQUIRE(r->find("one.test") != nullptr);
  CHECK(r->find("one.test")->name == "one");
  CHECK(r->find("one.test")->require_tls);
  CHECK(r->find("a.one.test")->name == "one");
  CHECK(r->find("other")->name == "rest");
  CHECK(r->find("other")->include_attempt_count_in_request);
}

TEST_CASE("routes: paths, headers, query and fractions of a match") {
  using Kind = config::PathMatcher::Kind;
  struct Case {
    const char* match;
    Kind kind;
    const char* path;
    bool matches;
  };
  const Case cases[] = {
      {"{prefix: /a}", Kind::prefix, "/ab", true},
      {"{path: /A, case_sensitive: false}", Kind::exact, "/a", true},
      {"{path_separated_prefix: /a}", Kind::separated_prefix, "/ab", false},
      {"{safe_regex: {regex: \"/[0-9]+\"}}", Kind::regex, "/12", true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.match);
    const auto route = good_route(std::string("{match: ") + c.match + ", route: {cluster: a}}");
    CHECK(route.match.path.kind == c.kind);
    CHECK(route.match.path.matches(c.path) == c.matches);
  }
  const auto route = good_route(
      "{match: {prefix: /, grpc: {}, headers: [{name: X-A, string_match: {exact: b}}, {name: b, present_match: false}, "
      "{name: c, exact_match: d, invert_match: true}, {name: e, range_match: {start: 1, end: 3}}], query_parameters: "
      "[{name: q, present_match: true}], runtime_fraction: {default_value: {numerator: 5, denominator: MILLION}}}, "
      "route: {cluster: a}}");
  CHECK(route.match.grpc_only);
  REQUIRE(route.match.headers.size() == 4);
  CHECK(route.match.headers[0].name == "x-a");
  CHECK(route.match.headers[0].matches("b"));
  CHECK(route.match.headers[1].matches(std::nullopt));
  CHECK(!route.match.headers[2].matches("d"));
  CHECK(route.match.headers[3].matches("2"));
  CHECK(route.match.query.at(0).matches("q=1"));
  REQUIRE(route.match.fraction);
  CHECK(route.match.fraction->denominator == 1'000'000);
}

TEST_CASE("routes: where a request goes and how it is changed") {
  const auto plain = good_action("{cluster: a}");
  CHECK(plain.clusters.at(0).cluster == "a");
  CHECK(plain.timeout == 15s);
  CHECK(!plain.retry);
  CHECK(!plain.idle_timeout);
  const auto weighted = good_action("{weighted_clusters: {clusters: [{name: a, weight: 80}, {name: b, weight: 20}]}}");
  CHECK(weighted.total_weight == 100);
  CHECK(weighted.clusters.at(1).weight == 20);
  CHECK(good_action("{cluster_header: X-C, cluster_not_found_response_code: NOT_FOUND}").cluster_header == "x-c");
  const auto rewrites = good_action(
      "{cluster: a, prefix_rewrite: /b, host_rewrite_path_regex: {pattern: {regex: \"/(.*)\"}, substitution: "
      "\"\\\\1.test\"}, append_x_forwarded_host: true}");
  CHECK(rewrites.prefix_rewrite == "/b");
  REQUIRE(rewrites.host_rewrite_path_regex != nullptr);
  CHECK(rewrites.host_rewrite_path_regex->replace_all("/x", rewrites.host_rewrite_path_substitution) == "x.test");
  const auto times = good_action(
      "{cluster: a, timeout: 0s, idle_timeout: 2s, max_stream_duration: {max_stream_duration: 0.3s, "
      "grpc_timeout_header_max: 0s}, upgrade_configs: [{upgrade_type: WebSocket, enabled: false}], priority: HIGH}");
  CHECK(times.timeout == 0s);
  CHECK(times.idle_timeout == Duration(2s));
  CHECK(times.max_stream_duration == Duration(300ms));
  CHECK(times.grpc_timeout_header_max == Duration(0));
  CHECK(times.websocket == false);
  CHECK(times.priority == 1);
}

TEST_CASE("routes: retries, hashes and mirrors") {
  const auto action = good_action(
      "{cluster: a, retry_policy: {retry_on: \"5xx,reset\", num_retries: 3, retriable_status_codes: [418], "
      "retry_back_off: {base_interval: 0.0001s}, host_selection_retry_max_attempts: 5, retry_host_predicate: [{name: "
      "p, "
      "typed_config: " +
      typed("retry.host.previous_hosts.v3.PreviousHostsPredicate") +
      "}}]}, hash_policy: [{header: {header_name: X}, terminal: true}], request_mirror_policies: [{cluster: m, "
      "runtime_fraction: {default_value: {numerator: 10}}}]}");
  REQUIRE(action.retry);
  CHECK(action.retry->has(config::RetryOn::server_error));
  CHECK(action.retry->has(config::RetryOn::reset));
  CHECK(action.retry->retries_max == 3);
  CHECK(action.retry->backoff_base == 1ms);
  CHECK(action.retry->backoff_max == 10ms);
  CHECK(action.retry->previous_hosts);
  CHECK(action.retry->host_selection_attempts == 5);
  CHECK(action.hash_policies.at(0).name == "x");
  CHECK(action.hash_policies.at(0).terminal);
  CHECK(action.mirrors.at(0).cluster == "m");
  CHECK(action.mirrors.at(0).fraction.numerator == 10);
}

TEST_CASE("routes: redirects and direct responses") {
  const auto redirect = std::get<config::RedirectAction>(
      good_route("{match: {prefix: /}, redirect: {https_redirect: true, host_redirect: h, port_redirect: 99, "
                 "path_redirect: /p, response_code: SEE_OTHER, strip_query: true}}")
          .action);
  CHECK(redirect.https);
  CHECK(redirect.host == "h");
  CHECK(redirect.port == 99u);
  CHECK(redirect.path == "/p");
  CHECK(redirect.status == 303);
  CHECK(redirect.strip_query);
  const auto direct = std::get<config::DirectResponse>(
      good_route("{match: {prefix: /}, direct_response: {status: 418, body: {inline_bytes: aGVsbG8=}}}").action);
  CHECK(direct.status == 418);
  CHECK(direct.body == "hello");
}

TEST_CASE("routes: header mutations of every level") {
  const auto r = good(
      "{name: r, request_headers_to_add: [{header: {key: X-A, value: \"%REQ(b)%\"}, append_action: ADD_IF_ABSENT}], "
      "request_headers_to_remove: [X-Gone], internal_only_headers: [X-In], most_specific_header_mutations_wins: true, "
      "virtual_hosts: [{name: v, domains: [a], response_headers_to_add: [{header: {key: b, value: c}, append: "
      "false}]}]}");
  REQUIRE(r->mutations.request_add.size() == 1);
  CHECK(r->mutations.request_add[0].name == "X-A");
  CHECK(r->mutations.request_add[0].action == config::HeaderToAdd::Action::add_if_absent);
  CHECK(r->mutations.request_remove == std::vector<std::string>{"x-gone"});
  CHECK(r->internal_only_headers == std::vector<std::string>{"x-in"});
  CHECK(r->most_specific_mutations_last);
  CHECK(r->virtual_hosts[0].mutations.response_add.at(0).action ==
        config::HeaderToAdd::Action::overwrite_if_exists_or_add);
}

TEST_CASE("routes: what cannot be honoured is refused with its field") {
  const BadCase whole[] = {
      {"{virtual_hosts: [{name: a, domains: [x, X]}]}", "virtual_hosts[0].domains[1]: the domain X is given twice"},
      {"{virtual_hosts: [{name: a, domains: [x]}, {name: a, domains: [z]}]}", "virtual_hosts[1].name: "},
      {"{virtual_hosts: [{name: a, domains: []}]}", "virtual_hosts[0].domains: must not be empty"},
      {"{vhds: {config_source: {ads: {}}}}", "vhds: is not supported by Pillion"},
      {"{request_headers_to_add: [{header: {key: \":path\", value: x}}]}",
       "request_headers_to_add[0].header.key: pseudo-headers"},
      {"{request_headers_to_add: [{header: {key: a, value: \"%NOPE%\"}}]}",
       "request_headers_to_add[0].header.value: \"%NOPE%\" is not an operator"},
      {"{virtual_hosts: [{name: a, domains: [x], typed_per_filter_config: {f: {\"@type\": "
       "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy}}}]}",
       "virtual_hosts[0].typed_per_filter_config[\"f\"]: the configuration"},
  };
  for (const BadCase& c : whole) {
    CAPTURE(c.yaml);
    const std::string error = error_of(translate_route_configuration(read<Message>(c.yaml)));
    CAPTURE(error);
    CHECK(error.starts_with(c.error));
  }
  const BadCase routes[] = {
      {"{match: {safe_regex: {regex: \"a(b\"}}, route: {cluster: a}}", "match.safe_regex.regex: "},
      {"{match: {prefix: /}}", "one of "},
      {"{match: {prefix: /}, direct_response: {status: 99999}}", "direct_response.status: "},
      {"{match: {prefix: /}, route: {weighted_clusters: {clusters: [{name: a, weight: 0}]}}}",
       "route.weighted_clusters.clusters: the sum"},
      {"{match: {prefix: /}, route: {cluster: a, hedge_policy: {hedge_on_per_try_timeout: true}}}",
       "route.hedge_policy: is not supported"},
      {"{match: {prefix: /}, route: {cluster: a, regex_rewrite: {pattern: {regex: a}, substitution: \"\\\\1\"}}}",
       "route.regex_rewrite.substitution: "},
      {"{match: {prefix: /}, route: {cluster: a, retry_policy: {retry_back_off: {base_interval: 2s, max_interval: "
       "1s}}}}",
       "route.retry_policy.retry_back_off.max_interval: "},
      {"{match: {prefix: /}, direct_response: {status: 200, body: {filename: /no/such/file}}}",
       "direct_response.body.filename: /no/such/file cannot be opened"},
  };
  for (const BadCase& c : routes) {
    CAPTURE(c.yaml);
    const std::string error = error_of(translate_route_configuration(read<Message>(with_route(c.yaml))));
    CAPTURE(error);
    CHECK(error.starts_with("virtual_hosts[0].routes[0]"));
    CHECK(error.contains(c.error));
  }
}

TEST_CASE("routes: clusters are checked where routes validate") {
  const std::set<std::string, std::less<>> clusters{"a"};
  const TranslationOptions options{.clusters = &clusters};
  const std::string route = "{match: {prefix: /}, route: {cluster: b}}";
  const std::string validating = "{validate_clusters: true, " + with_route(route).substr(1);
  CHECK(error_of(translate_route_configuration(read<Message>(validating), options)) ==
        "virtual_hosts[0].routes[0].route.cluster: there is no cluster b");
  CHECK(translate_route_configuration(read<Message>(with_route(route)), options).has_value());
}

}  // namespace pillion::xds
