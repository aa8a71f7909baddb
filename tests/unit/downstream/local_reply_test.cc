#include "proxy/downstream/local_reply.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

using namespace pillion;
using namespace pillion::downstream;

namespace {

constexpr Error failed(Code code, int os = 0) {
  return {code, Side::upstream, Retry::never, os, ""};
}

}  // namespace

TEST_CASE("local_reply: a failed attempt is told with Envoy's status, words and details") {
  struct Case {
    Error why;
    bool retried;
    uint16_t status;
    const char* body;
    const char* details;
  };
  const std::string intro = "upstream connect error or disconnect/reset before headers. ";
  static const Case kCases[] = {
      {failed(Code::no_healthy_upstream), false, 503, "no healthy upstream", "no_healthy_upstream"},
      {failed(Code::request_timeout), false, 504, "upstream request timeout", "response_timeout"},
      {failed(Code::per_try_timeout), true, 504, "upstream request timeout", "upstream_per_try_timeout"},
      {failed(Code::peer_closed), false, 503, "*reset reason: connection termination",
       "upstream_reset_before_response_started{connection_termination}"},
      {failed(Code::peer_reset), true, 503, "*retried and the latest reset reason: connection termination",
       "upstream_reset_before_response_started{connection_termination}"},
      {failed(Code::bad_message), false, 502, "*reset reason: protocol error",
       "upstream_reset_before_response_started{protocol_error}"},
      {failed(Code::connect_timeout), false, 503, "*reset reason: connection timeout",
       "upstream_reset_before_response_started{connection_timeout}"},
      {failed(Code::overflow), false, 503, "*reset reason: overflow",
       "upstream_reset_before_response_started{overflow}"},
      {failed(Code::connect_failed, ECONNREFUSED), false, 503, "*reset reason: remote connection failure",
       "upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused}"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.details);
    Arena arena;
    const LocalReply reply = reply_to_failure(c.why, c.retried, transport_failure_of(c.why, arena), arena);
    CHECK(reply.status == c.status);
    CHECK(std::string(reply.body) == (c.body[0] == '*' ? intro + (c.body + 1) : c.body));
    CHECK(reply.details == c.details);
    CHECK(reply.overloaded == (c.why.code == Code::overflow));
  }
}

TEST_CASE("local_reply: a request that the codec refused") {
  struct Case {
    Code code;
    http::Version version;
    uint16_t status;
    const char* body;
  };
  static constexpr Case kCases[] = {
      {Code::bad_message, http::Version::http11, 400, "Bad Request"},
      {Code::head_too_large, http::Version::http11, 431, "Request Header Fields Too Large"},
      {Code::unsupported, http::Version::http10, 426, "Upgrade Required"},
      {Code::unsupported, http::Version::http2, 501, "Not Implemented"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.body);
    const LocalReply reply = reply_to_refusal({.code = c.code}, c.version);
    CHECK(reply.status == c.status);
    CHECK(reply.body == c.body);
    CHECK(reply.ends_connection == (c.version != http::Version::http2));
  }
}

TEST_CASE("local_reply: a gRPC request gets a trailers-only answer") {
  struct Case {
    uint16_t status;
    const char* grpc;
  };
  static constexpr Case kCases[] = {{400, "13"}, {401, "16"}, {403, "7"},  {404, "12"}, {429, "14"},
                                    {500, "2"},  {502, "14"}, {503, "14"}, {504, "14"}};
  for (const Case& c : kCases) {
    CAPTURE(c.status);
    Arena arena;
    http::ResponseHead head(arena);
    CHECK(write_local_reply({.status = c.status, .body = "50% caf\xc3\xa9"}, true, head).empty());
    CHECK(head.status == 200);
    CHECK(head.headers.get(http::HeaderId::grpc_status) == c.grpc);
    CHECK(head.headers.get(http::HeaderId::grpc_message) == "50%25 caf%C3%A9");
    CHECK(head.headers.get(http::HeaderId::content_type) == "application/grpc");
    CHECK_FALSE(head.content_length);
  }
}

TEST_CASE("local_reply: others get text with its length, or nothing") {
  Arena arena;
  http::ResponseHead head(arena);
  CHECK(write_local_reply({.status = 403, .body = "denied"}, false, head) == "denied");
  CHECK(head.status == 403);
  CHECK(head.content_length == 6);
  CHECK(head.headers.get(http::HeaderId::content_type) == "text/plain");
  http::ResponseHead bare(arena);
  CHECK(write_local_reply({.status = 301, .location = "/x"}, false, bare).empty());
  CHECK(bare.headers.get(http::HeaderId::location) == "/x");
  CHECK_FALSE(bare.headers.has(http::HeaderId::content_type));
}
