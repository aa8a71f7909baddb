// How long a request may take: the route's times, what headers of a trusted client change in them, and what the
// endpoint is told of them. The same for retries: request headers that extend the policy.
#pragma once

#include <optional>

#include "proxy/config/route.h"
#include "proxy/http/message.h"

namespace pillion::route {

// Zero is none.
struct Timeouts {
  Duration request{};  // from the end of the request to the end of the response
  Duration per_try{};  // shorter than `request`, where there is one
  Duration per_try_idle{};
  std::optional<Duration> max_stream;  // of the whole stream; none: the connection manager's counts
  bool rewrites_grpc_timeout = false;  // grpc-timeout tells the endpoint what is left
};

// Takes x-envoy-upstream-rq-timeout-ms and x-envoy-upstream-rq-per-try-timeout-ms out of the head, and heeds them when
// the client is `trusted` (an internal address). `policy` is the configured one, also
// where take_retry_policy() says that nothing is retried; it may be null. A gRPC request (by its content type) with a
// grpc-timeout is held to that, up to the route's grpc_timeout_header_max or max_grpc_timeout; what counts is written
// back into the header.
Timeouts take_timeouts(const config::RouteAction& action, const config::RetryPolicy* policy, bool trusted,
                       http::RequestHead& head);

// Sets x-envoy-expected-rq-timeout-ms for the next try, `elapsed` after the request was complete: the time of the try,
// within what is left of the request's. At least one millisecond, because zero would mean none.
void tell_timeout(const Timeouts& timeouts, Duration elapsed, http::RequestHead& head);

// grpc-timeout (gRPC over HTTP/2: 1 to 8 digits and a unit). None where it is malformed. Fractions of a millisecond
// count as one.
std::optional<Duration> parse_grpc_timeout(std::string_view value);

// The policy that counts for this request: the configured one (may be null), or `merged` where headers of a `trusted`
// client say more: x-envoy-retry-on, x-envoy-retry-grpc-on, x-envoy-max-retries, x-envoy-retriable-status-codes and
// x-envoy-retriable-header-names. Null where nothing is retried, also because none of retriable_request_headers
// matches. The headers are taken out of the head in any case.
const config::RetryPolicy* take_retry_policy(const config::RetryPolicy* configured, bool trusted,
                                             http::RequestHead& head, std::optional<config::RetryPolicy>& merged);

}  // namespace pillion::route
