#include "proxy/downstream/access_log.h"

#include <doctest/doctest.h>

#include <cerrno>

#include "proxy/downstream/format_values.h"

using namespace pillion;
using namespace pillion::downstream;
using config::AccessLogFilter;

namespace {

// A finished exchange: 30 ms in all, the endpoint answered after 20.
struct Finished {
  Arena arena;
  http::RequestHead request{arena};
  http::ResponseHead response{arena};
  http::HeaderMap trailers{arena};
  filter::ExchangeRecord record;

  Finished() {
    request.method = "GET";
    request.authority = "shop";
    request.scheme = "http";
    request.path = "/a?b";
    request.headers.add("x-a", "abcdef");
    response.headers.add("x-served-by", "web");
    trailers.add("grpc-status", "14");
    record.request = &request;
    record.response = &response;
    record.start_wall_us = 1'795'512'600'123'456;  // 2026-11-24T09:30:00.123456Z
    record.start = Instant(Duration(1'000'000));
    record.request_end = record.start + 5ms;
    record.upstream_first_byte = record.start + 20ms;
    record.response_begin = record.start + 21ms;
    record.end = record.start + 30ms;
    record.status = 200;
    record.details = "via_upstream";
    record.cluster = "web";
    record.attempts_total = 1;
    record.upstream_address = *Address::parse("10.0.0.3:80");
    record.downstream_remote = *Address::parse("9.9.9.9:0");
    record.downstream_local = *Address::parse("127.0.0.1:15001");
    record.response_body_bytes = 7;
  }
  std::string text(std::string_view format) {
    config::AccessLog log;
    const auto compiled = config::Format::compile(format);
    REQUIRE(compiled);
    log.text = *compiled;
    return access_log_line(log, ExchangeValues(record));
  }
};

}  // namespace

TEST_CASE("access_log: operators have Envoy's spelling") {
  struct Case {
    const char* format;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "GET /a?b HTTP/1.1"},
      {"%REQ(X-A):3% %REQ(X-NONE?X-A)% %REQ(X-NONE)%", "abc abcdef -"},
      {"%REQ(:AUTHORITY)% %REQ(:SCHEME)%", "shop http"},
      {"%RESP(X-SERVED-BY)% %RESPONSE_CODE% %RESPONSE_CODE_DETAILS%", "web 200 via_upstream"},
      {"%RESPONSE_FLAGS% %RESPONSE_FLAGS_LONG%", "- -"},
      {"%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "30 5 20 10"},
      {"%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(DS_RX_BEG:US_CX_BEG:ms)%", "30000 -"},
      {"%BYTES_RECEIVED% %BYTES_SENT%", "0 7"},
      {"%UPSTREAM_HOST% %UPSTREAM_CLUSTER% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", "10.0.0.3:80 web 1"},
      {"%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_PORT%",
       "9.9.9.9:0 9.9.9.9 15001"},
      {"%START_TIME% %START_TIME(%s.%3f)% %START_TIME(%Y-%m-%d)%",
       "2026-11-24T09:30:00.123Z 1795512600.123 2026-11-24"},
      {"%ROUTE_NAME% %DOWNSTREAM_PEER_URI_SAN% %PILLION_FAILURE%", "- - -"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.format);
    Finished f;
    CHECK(f.text(c.format) == c.want);
  }
}

TEST_CASE("access_log: the gRPC status comes from the trailers, by name or number") {
  Finished f;
  CHECK(f.text("%GRPC_STATUS%") == "-");
  f.record.response_trailers = &f.trailers;
  CHECK(f.text("%GRPC_STATUS% %GRPC_STATUS_NUMBER%") == "Unavailable 14");
  f.trailers.set("grpc-status", "4");
  CHECK(f.text("%GRPC_STATUS(SNAKE_STRING)%") == "DEADLINE_EXCEEDED");
}

TEST_CASE("access_log: response flags tell who failed") {
  struct Case {
    Code code;
    Side side;
    bool exhausted;
    const char* letters;
    const char* names;
  };
  static constexpr Case kCases[] = {
      {Code::connect_failed, Side::upstream, false, "UF", "UpstreamConnectionFailure"},
      {Code::connect_failed, Side::upstream, true, "UF,URX", "UpstreamConnectionFailure,UpstreamRetryLimitExceeded"},
      {Code::ok, Side::local, true, "URX", "UpstreamRetryLimitExceeded"},
      {Code::bad_message, Side::downstream, false, "DPE", "DownstreamProtocolError"},
      {Code::bad_message, Side::upstream, false, "UPE", "UpstreamProtocolError"},
      {Code::request_timeout, Side::local, false, "UT", "UpstreamRequestTimeout"},
      {Code::request_timeout, Side::downstream, false, "-", "-"},
      {Code::no_route, Side::local, false, "NR", "NoRouteFound"},
      {Code::no_cluster, Side::local, false, "NC", "NoClusterFound"},
      {Code::downstream_gone, Side::downstream, false, "DC", "DownstreamConnectionTermination"},
      {Code::direct_response, Side::local, false, "-", "-"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.letters);
    Finished f;
    f.record.failure = {.code = c.code, .side = c.side};
    f.record.retry_limit_exceeded = c.exhausted;
    CHECK(f.text("%RESPONSE_FLAGS%") == c.letters);
    CHECK(f.text("%RESPONSE_FLAGS_LONG%") == c.names);
  }
}

TEST_CASE("access_log: the failure sentence names cluster, endpoint, error and attempts") {
  Finished f;
  f.record.failure = {Code::connect_failed, Side::upstream, Retry::safe, ECONNREFUSED, "dialing the endpoint"};
  f.record.attempts_total = 2;
  f.record.retry_limit_exceeded = true;
  const std::string line = f.text("%PILLION_FAILURE%");
  for (const char* part : {"cluster web", "10.0.0.3:80", "ECONNREFUSED", "2 attempts", "no more retries"}) {
    CAPTURE(part);
    CHECK(line.find(part) != std::string::npos);
  }
}

TEST_CASE("access_log: filters choose what is logged") {
  Finished f;
  config::AccessLog log;
  CHECK(is_logged(log, f.record));
  log.filter = AccessLogFilter{.kind = AccessLogFilter::Kind::status_code, .op = AccessLogFilter::Op::ge, .value = 400};
  CHECK_FALSE(is_logged(log, f.record));
  f.record.status = 404;
  CHECK(is_logged(log, f.record));
  log.filter = AccessLogFilter{.kind = AccessLogFilter::Kind::response_flag, .flags = {"NR"}};
  CHECK_FALSE(is_logged(log, f.record));
  f.record.failure.code = Code::no_route;
  CHECK(is_logged(log, f.record));
  log.filter = AccessLogFilter{.kind = AccessLogFilter::Kind::duration, .op = AccessLogFilter::Op::le, .value = 29};
  CHECK_FALSE(is_logged(log, f.record));
  AccessLogFilter either{.kind = AccessLogFilter::Kind::or_};
  either.children.push_back(*log.filter);
  CHECK_FALSE(is_logged({.filter = either}, f.record));
  either.children.push_back({.kind = AccessLogFilter::Kind::not_health_check});
  CHECK(is_logged({.filter = either}, f.record));
  either.kind = AccessLogFilter::Kind::and_;
  CHECK_FALSE(is_logged({.filter = either}, f.record));
}

TEST_CASE("access_log: JSON keeps types, and null stands for what is missing") {
  Finished f;
  config::AccessLog log;
  log.json.emplace();
  const auto leaf = [&](const char* key, const char* format) {
    log.json->fields.push_back({.key = key, .value = *config::Format::compile(format)});
  };
  leaf("code", "%RESPONSE_CODE%");
  leaf("flags", "%RESPONSE_FLAGS%");
  leaf("none", "%REQ(X-NONE)%");
  CHECK(access_log_line(log, ExchangeValues(f.record)) == "{\"code\":200,\"flags\":\"-\",\"none\":null}\n");
  log.omit_empty = true;
  CHECK(access_log_line(log, ExchangeValues(f.record)) == "{\"code\":200,\"flags\":\"-\"}\n");
}
