#include <doctest/doctest.h>

#include <string>

#include "proxy/route/retry.h"

using namespace pillion;

namespace {

bool is_retriable(const config::RetryPolicy& policy, uint16_t status,
                  std::initializer_list<std::pair<const char*, const char*>> headers = {}) {
  Arena arena;
  http::ResponseHead head(arena);
  head.status = status;
  for (const auto& [name, value] : headers) head.headers.add(name, value);
  return route::is_retriable_response(policy, head);
}

config::RetryPolicy on(std::string_view list) {
  config::RetryPolicy policy;
  policy.on = config::parse_retry_on(list, nullptr);
  return policy;
}

}  // namespace

TEST_CASE("retriable response: statuses by condition") {
  config::RetryPolicy codes = on("retriable-status-codes");
  codes.retriable_status_codes = {418};
  CHECK(is_retriable(on("5xx"), 500));
  CHECK_FALSE(is_retriable(on("5xx"), 404));
  CHECK(is_retriable(on("gateway-error"), 504));
  CHECK_FALSE(is_retriable(on("gateway-error"), 500));
  CHECK(is_retriable(on("retriable-4xx"), 409));
  CHECK_FALSE(is_retriable(on("retriable-4xx"), 404));
  CHECK(is_retriable(codes, 418));
  CHECK_FALSE(is_retriable(codes, 500));
  CHECK_FALSE(is_retriable(on("reset,connect-failure"), 503));
  CHECK(is_retriable(on("unavailable"), 200, {{"grpc-status", "14"}}));
  CHECK_FALSE(is_retriable(on("unavailable"), 200, {{"grpc-status", "13"}}));
}

// As Envoy 1.40 does.
TEST_CASE("retriable response: one with x-envoy-ratelimited is asked for again by envoy-ratelimited alone") {
  CHECK_FALSE(is_retriable(on("5xx"), 503, {{"x-envoy-ratelimited", "true"}}));
  CHECK(is_retriable(on("envoy-ratelimited"), 429, {{"x-envoy-ratelimited", "true"}}));
  CHECK_FALSE(is_retriable(on("envoy-ratelimited"), 429));
}

TEST_CASE("retriable response: each of a header's values may be the retriable one") {
  config::RetryPolicy policy = on("retriable-headers");
  config::HeaderMatcher again;
  again.name = "x-again";
  again.kind = config::HeaderMatcher::Kind::string;
  again.string.text = "yes";
  policy.retriable_headers = {again};
  CHECK(is_retriable(policy, 200, {{"X-Again", "no"}, {"x-again", "yes"}}));
  CHECK_FALSE(is_retriable(policy, 200, {{"X-Again", "no"}}));
}
