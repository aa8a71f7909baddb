#include "proxy/route/timeout.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace pillion;
using namespace pillion::route;

namespace {

struct Request {
  Arena arena;
  http::RequestHead head{arena};
  explicit Request(std::initializer_list<std::pair<const char*, const char*>> headers) {
    head.method = "GET";
    head.path = "/";
    for (const auto& [name, value] : headers) head.headers.add(name, value);
  }
  std::string value(std::string_view name) const { return std::string(head.headers.get_all(name).value_or("-")); }
};

using Headers = std::vector<std::pair<const char*, const char*>>;

struct Case {
  const char* name;
  const config::RouteAction* action;
  const config::RetryPolicy* policy;
  Headers headers;
  const char *expected, *grpc_timeout;
};

constexpr const char* kRequestMs = "x-envoy-upstream-rq-timeout-ms";
constexpr const char* kTryMs = "x-envoy-upstream-rq-per-try-timeout-ms";

}  // namespace

// Each row was asked of Envoy 1.40.
TEST_CASE("timeouts: what the endpoint is told, by route and by headers of a trusted client") {
  config::RouteAction plain, none, header_max, header_any, stream, max5, max0;
  none.timeout = 0ms;
  header_max.grpc_timeout_header_max = 5s;
  header_any.grpc_timeout_header_max = 0s;
  stream.max_stream_duration = 1s;
  max5.max_grpc_timeout = 5s;
  max0.max_grpc_timeout = 0s;
  config::RetryPolicy two, nine, twenty;
  two.per_try_timeout = 2s;
  nine.per_try_timeout = 9s;
  twenty.per_try_timeout = 20s;
  const std::pair<const char*, const char*> grpc = {"content-type", "application/grpc"};
  const Case cases[] = {
      {"default", &plain, nullptr, {}, "15000", "-"},
      {"none", &none, nullptr, {}, "-", "-"},
      {"header", &plain, nullptr, {{kRequestMs, "200"}}, "200", "-"},
      {"header with a sign", &plain, nullptr, {{kRequestMs, "+7"}}, "7", "-"},
      {"negative header", &plain, nullptr, {{kRequestMs, "-1"}}, "15000", "-"},
      {"bad header", &plain, nullptr, {{kRequestMs, "bad"}}, "15000", "-"},
      {"header of zero", &plain, nullptr, {{kRequestMs, "0"}}, "-", "-"},
      {"try header", &plain, nullptr, {{kTryMs, "300"}}, "300", "-"},
      {"try header beyond the request", &plain, nullptr, {{kTryMs, "99999"}}, "15000", "-"},
      {"try header without a request's", &plain, nullptr, {{kRequestMs, "0"}, {kTryMs, "9"}}, "9", "-"},
      {"policy", &plain, &two, {}, "2000", "-"},
      {"policy beyond the request", &plain, &twenty, {}, "15000", "-"},
      {"policy and try header", &plain, &nine, {{kTryMs, "800"}}, "800", "-"},
      {"header_max without grpc", &header_max, nullptr, {{"grpc-timeout", "2S"}}, "-", "2S"},
      {"header_max without header", &header_max, nullptr, {grpc}, "-", "-"},
      {"header_max", &header_max, nullptr, {grpc, {"grpc-timeout", "2S"}}, "-", "2000m"},
      {"header_max cuts", &header_max, nullptr, {grpc, {"grpc-timeout", "90S"}}, "-", "5000m"},
      {"header_max of rubbish", &header_max, nullptr, {grpc, {"grpc-timeout", "xx"}}, "-", "xx"},
      {"header_max and header", &header_max, nullptr, {grpc, {kRequestMs, "500"}}, "500", "-"},
      {"any header", &header_any, nullptr, {grpc, {"grpc-timeout", "90S"}}, "-", "90000m"},
      {"any header, very long", &header_any, nullptr, {grpc, {"grpc-timeout", "99999999H"}}, "-", "99999999H"},
      {"stream duration", &stream, nullptr, {}, "-", "-"},
      {"stream duration and tries", &stream, &two, {}, "2000", "-"},
      {"max_grpc without grpc", &max5, &two, {{"grpc-timeout", "1S"}}, "2000", "1S"},
      {"max_grpc", &max5, nullptr, {grpc, {"grpc-timeout", "2S"}}, "2000", "2000m"},
      {"max_grpc without header", &max5, nullptr, {grpc}, "5000", "5000m"},
      {"max_grpc and tries", &max5, &two, {grpc, {"grpc-timeout", "3S"}}, "2000", "2000m"},
      {"max_grpc and header", &max5, nullptr, {grpc, {"grpc-timeout", "1S"}, {kRequestMs, "500"}}, "500", "500m"},
      {"any max_grpc without header", &max0, nullptr, {grpc}, "-", "-"},
      {"any max_grpc", &max0, nullptr, {grpc, {"grpc-timeout", "3S"}}, "3000", "3000m"},
      {"any max_grpc without grpc", &max0, nullptr, {}, "15000", "-"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Request request({});
    for (const auto& [name, value] : c.headers) request.head.headers.add(name, value);
    const Timeouts timeouts = take_timeouts(*c.action, c.policy, true, request.head);
    tell_timeout(timeouts, 0ms, request.head);
    CHECK(request.value("x-envoy-expected-rq-timeout-ms") == c.expected);
    CHECK(request.value("grpc-timeout") == c.grpc_timeout);
    CHECK(request.value(kRequestMs) == "-");
    CHECK(request.value(kTryMs) == "-");
  }
}

TEST_CASE("timeouts: a route with a stream duration has no request timeout, and a header bounds the stream") {
  config::RouteAction action;
  action.max_stream_duration = 1s;
  action.grpc_timeout_header_max = 5s;
  Request request({});
  CHECK(take_timeouts(action, nullptr, true, request.head).request == 0ms);
  CHECK(take_timeouts(action, nullptr, true, request.head).max_stream == 1s);
  Request grpc({{"content-type", "application/grpc"}, {"grpc-timeout", "3S"}});
  CHECK(take_timeouts(action, nullptr, true, grpc.head).max_stream == 3s);
  Request past({{"content-type", "application/grpc"}, {"grpc-timeout", "0S"}});
  CHECK(take_timeouts(action, nullptr, true, past.head).max_stream == 1ms);
  CHECK_FALSE(take_timeouts({}, nullptr, true, request.head).max_stream.has_value());
}

TEST_CASE("timeouts: headers of an outsider are taken out and change nothing") {
  Request request({{kRequestMs, "200"}, {kTryMs, "100"}});
  const Timeouts timeouts = take_timeouts({}, nullptr, false, request.head);
  CHECK(timeouts.request == 15s);
  CHECK(timeouts.per_try == 0ms);
  CHECK(request.head.headers.size() == 0);
}

TEST_CASE("timeouts: later tries are told what is left, and never zero") {
  Request request({{"x-envoy-expected-rq-timeout-ms", "77"}});
  Timeouts timeouts;
  timeouts.request = 1s;
  tell_timeout(timeouts, 300ms, request.head);
  CHECK(request.value("x-envoy-expected-rq-timeout-ms") == "700");
  timeouts.per_try = 500ms;
  tell_timeout(timeouts, 300ms, request.head);
  CHECK(request.value("x-envoy-expected-rq-timeout-ms") == "500");
  tell_timeout(timeouts, 5s, request.head);
  CHECK(request.value("x-envoy-expected-rq-timeout-ms") == "1");
}

TEST_CASE("timeouts: a huge header is a long time, not a short one") {
  Request request({{kRequestMs, "9223372036854775807"}});
  CHECK(take_timeouts({}, nullptr, true, request.head).request > 24h * 365 * 1000);
}

TEST_CASE("timeouts: grpc-timeout has one to eight digits and a unit") {
  struct Row {
    const char* text;
    std::optional<Duration> want;
  };
  const Row rows[] = {{"1H", 1h},
                      {"2M", 2min},
                      {"3S", 3s},
                      {"4m", 4ms},
                      {"2500u", 3ms},
                      {"1n", 1ms},
                      {"0m", 0ms},
                      {"99999999m", 99999999ms},
                      {"123456789m", std::nullopt},
                      {"", {}},
                      {"m", {}},
                      {"5", {}},
                      {"-1m", {}},
                      {"1x", {}},
                      {"1 m", {}},
                      {"1.5S", {}},
                      {"99999999H", 99999999h}};
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(parse_grpc_timeout(row.text) == row.want);
  }
}

TEST_CASE("retry headers: a trusted client extends the policy, an outsider does not") {
  const Headers headers = {{"X-Envoy-Retry-On", "5xx,unavailable"},
                           {"x-envoy-retry-grpc-on", "internal,reset"},
                           {"x-envoy-max-retries", "7"},
                           {"x-envoy-retriable-status-codes", "418, 419,x"},
                           {"x-envoy-retriable-header-names", "X-Again, y"},
                           {"x-envoy-hedge-on-per-try-timeout", "true"},
                           {"x-envoy-other", "1"}};
  config::RetryPolicy configured;
  configured.on = static_cast<uint32_t>(config::RetryOn::connect_failure);
  configured.retriable_status_codes = {400};
  for (const bool trusted : {true, false}) {
    CAPTURE(trusted);
    Request request({});
    for (const auto& [name, value] : headers) request.head.headers.add(name, value);
    std::optional<config::RetryPolicy> merged;
    const config::RetryPolicy* const policy = take_retry_policy(&configured, trusted, request.head, merged);
    REQUIRE(policy != nullptr);
    CHECK(request.head.headers.size() == 1);
    if (!trusted) {
      CHECK(policy == &configured);
      continue;
    }
    // Each header has its own names: gRPC's are not known to the first, nor the others to the second.
    CHECK(policy->on == (configured.on | static_cast<uint32_t>(config::RetryOn::server_error) |
                         static_cast<uint32_t>(config::RetryOn::grpc_internal)));
    CHECK(policy->retries_max == 7);
    CHECK(policy->retriable_status_codes == std::vector<uint16_t>{400, 418, 419});
    REQUIRE(policy->retriable_headers.size() == 2);
    CHECK(policy->retriable_headers[0].name == "x-again");
    CHECK(policy->retriable_headers[0].matches(""));
    CHECK_FALSE(policy->retriable_headers[0].matches(std::nullopt));
  }
}

TEST_CASE("retry headers: without a policy the number is one, and what is no number is not heeded") {
  struct Row {
    const char* retries;
    uint32_t want;
  };
  static constexpr Row kRows[] = {{"0", 0}, {"3", 3}, {"x", 1}, {"", 1}, {"99999999999", 4294967295u}};
  for (const Row& row : kRows) {
    CAPTURE(row.retries);
    Request request({{"x-envoy-retry-on", "5xx"}, {"x-envoy-max-retries", row.retries}});
    std::optional<config::RetryPolicy> merged;
    const config::RetryPolicy* const policy = take_retry_policy(nullptr, true, request.head, merged);
    REQUIRE(policy != nullptr);
    CHECK(policy->retries_max == row.want);
  }
}

TEST_CASE("retry headers: no policy, no condition or no matching request header mean no retry") {
  std::optional<config::RetryPolicy> merged;
  Request request({{"x-envoy-max-retries", "3"}, {"x-a", "1"}});
  CHECK(take_retry_policy(nullptr, true, request.head, merged) == nullptr);
  config::RetryPolicy policy;
  CHECK(take_retry_policy(&policy, true, request.head, merged) == nullptr);
  policy.on = static_cast<uint32_t>(config::RetryOn::server_error);
  CHECK(take_retry_policy(&policy, true, request.head, merged) == &policy);
  config::HeaderMatcher get;
  get.name = ":method";
  get.kind = config::HeaderMatcher::Kind::string;
  get.string.text = "GET";
  policy.retriable_request_headers = {get};
  CHECK(take_retry_policy(&policy, true, request.head, merged) == &policy);
  request.head.method = "POST";
  CHECK(take_retry_policy(&policy, true, request.head, merged) == nullptr);
  get.name = "x-a";
  get.string.text = "1";
  policy.retriable_request_headers.push_back(get);
  CHECK(take_retry_policy(&policy, true, request.head, merged) == &policy);
}
