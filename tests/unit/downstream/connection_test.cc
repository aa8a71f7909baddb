#include <doctest/doctest.h>

#include "edge.h"

using namespace pillion;
using namespace pillion::downstream;
using namespace pillion::downstream::test;

namespace {

config::Route route(const char* prefix) {
  config::Route r;
  r.match.path.text = prefix;
  return r;
}

// /d answers 200 "direct", /r redirects, /u goes to a cluster that does not exist.
config::RouteConfiguration usual() {
  config::Route direct = route("/d");
  direct.action = config::DirectResponse{.status = 200, .body = "direct"};
  direct.mutations.response_add.push_back({.name = "x-added", .value = *config::Format::compile("%RESPONSE_CODE%")});
  config::Route redirect = route("/r");
  redirect.action = config::RedirectAction{.path = "/there"};
  config::Route gone = route("/u");
  gone.action = config::RouteAction{.clusters = {{.cluster = "gone"}}};
  return table_of({direct, redirect, gone});
}

std::string lower(std::string_view s) {
  std::string out(s);
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return out;
}

// HTTP/1 has names in any letters.
bool has(const std::string& text, std::string_view part) {
  return lower(text).find(lower(part)) != std::string::npos;
}

std::string get(const char* path, const char* more = "") {
  return std::string("GET ") + path + " HTTP/1.1\r\nHost: t\r\n" + more + "\r\n";
}

}  // namespace

TEST_CASE("connection: answers that need no endpoint") {
  struct Case {
    const char* request;
    std::vector<const char*> parts;
  };
  static const Case kCases[] = {
      {"/d",
       {"HTTP/1.1 200 OK\r\n", "content-length: 6\r\n", "x-added: 200\r\n", "server: envoy\r\n", "\r\n\r\ndirect"}},
      {"/r", {"HTTP/1.1 301 ", "location: http://t/there\r\n", "content-length: 0\r\n"}},
      {"/u", {"HTTP/1.1 503 ", "content-length: 0\r\n"}},
      {"/none", {"HTTP/1.1 404 ", "content-length: 0\r\n", "date: "}},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.request);
    Edge edge;
    edge.open(usual());
    const std::string answer = edge.ask(get(c.request));
    for (const char* part : c.parts) {
      CAPTURE(part);
      CHECK(has(answer, part));
    }
    CHECK_FALSE(edge.wire.shut);
    CHECK(has(edge.ask(get("/d")), "200 OK"));  // the connection goes on
    CHECK(edge.stat("downstream_rq_total") == 2);
    CHECK(edge.stat("downstream_rq_active") == 0);
  }
}

TEST_CASE("connection: a request byte by byte is the same request") {
  Edge edge;
  edge.open(usual());
  for (const char c : get("/d")) edge.send({&c, 1});
  CHECK(has(edge.received(), "\r\n\r\ndirect"));
}

TEST_CASE("connection: pipelined requests are answered in order") {
  Edge edge;
  edge.open(usual());
  const std::string answers = edge.ask(get("/d") + get("/none") + get("/d"));
  const size_t first = answers.find(" 200 ");
  const size_t second = answers.find(" 404 ");
  const size_t third = answers.rfind(" 200 ");
  CHECK(first < second);
  CHECK(second < third);
  CHECK(edge.stat("downstream_rq_2xx") == 2);
  CHECK(edge.stat("downstream_rq_4xx") == 1);
}

TEST_CASE("connection: a refused head is answered, then the connection lingers for the client to read it") {
  Edge edge;
  edge.open(usual());
  const std::string answer = edge.ask("GET /d HTTP/1.1\r\nBad Name: x\r\n\r\n");
  CHECK(has(answer, "HTTP/1.1 400 Bad Request\r\n"));
  CHECK(has(answer, "connection: close\r\n"));
  CHECK(has(answer, "\r\n\r\nBad Request"));
  CHECK(edge.wire.shut);
  CHECK(edge.removed == 0);
  edge.send("more of it");  // is read and dropped
  edge.wire.transport->deliver_eof();
  edge.turn();
  CHECK(edge.wire.closed);
  CHECK(edge.removed == 1);
}

TEST_CASE("connection: a client that never closes is closed after delayed_close_timeout") {
  Edge edge;
  edge.open(usual());
  edge.ask(get("/d", "Connection: close\r\n"));
  CHECK(edge.wire.shut);
  edge.pass(900ms);
  CHECK(edge.removed == 0);
  edge.pass(200ms);
  CHECK(edge.removed == 1);
  CHECK(edge.stat("downstream_cx_delayed_close_timeout") == 1);
  CHECK(edge.stat("downstream_cx_active") == 0);
}

TEST_CASE("connection: idle_timeout ends a connection without requests") {
  Edge edge;
  edge.manager.idle_timeout = 5s;
  edge.open(usual());
  edge.pass(4s);
  edge.ask(get("/d"));
  edge.pass(4s);
  CHECK_FALSE(edge.wire.shut);
  edge.pass(2s);
  CHECK(edge.wire.shut);
  CHECK(edge.stat("downstream_cx_idle_timeout") == 1);
}

TEST_CASE("connection: late heads and bodies get 408") {
  struct Case {
    const char* sent;
    const char* body;
  };
  static constexpr Case kCases[] = {
      {"GET / HTTP/1.1\r\nHost: te", "request header timeout"},
      {"POST /d HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.sent);
    Edge edge;
    edge.manager.request_headers_timeout = 300ms;
    edge.manager.request_timeout = 400ms;
    edge.open(usual());
    edge.send(c.sent);
    edge.pass(350ms);
    edge.pass(100ms);
    const std::string answer = edge.received();
    CHECK(has(answer, c.body[0] != '\0' ? "HTTP/1.1 408 " : "HTTP/1.1 200 "));
    CHECK(has(answer, c.body));
    CHECK(has(answer, "connection: close\r\n"));
    CHECK(edge.wire.shut);
  }
}

TEST_CASE("connection: max_requests_per_connection tells the client with the last answer") {
  Edge edge;
  edge.manager.max_requests_per_connection = 2;
  edge.open(usual());
  CHECK_FALSE(has(edge.ask(get("/d")), "connection: close"));
  CHECK(has(edge.ask(get("/d")), "connection: close"));
  CHECK(edge.wire.shut);
  CHECK(edge.stat("downstream_cx_max_requests_reached") == 1);
}

TEST_CASE("connection: drain tells a client with its next answer, and closes where none is asked for") {
  for (const bool asks : {true, false}) {
    CAPTURE(asks);
    Edge edge;
    edge.open(usual());
    edge.ask(get("/d"));
    edge.sessions.front().drain();
    edge.turn();
    CHECK_FALSE(edge.wire.shut);
    if (asks) {
      CHECK(has(edge.ask(get("/d")), "connection: close"));
    } else {
      edge.pass(1100ms);
    }
    CHECK(edge.wire.shut);
    CHECK(edge.stat("downstream_cx_drain_close") == 1);
  }
}

TEST_CASE("connection: close and a broken transport leave nothing behind, also with a request under way") {
  for (const bool broken : {true, false}) {
    CAPTURE(broken);
    Edge edge;
    config::AccessLog log;
    log.path = "log";
    log.text = *config::Format::compile("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%");
    edge.manager.access_logs.push_back(log);
    edge.open(usual());
    edge.send("POST /d HTTP/1.1\r\nHost: ");
    if (broken) {
      edge.wire.transport->break_off();
    } else {
      edge.sessions.front().close();
    }
    edge.turn();
    CHECK(edge.removed == 1);
    CHECK(edge.executor.is_idle());
    CHECK(edge.executor.timers.armed() == 0);
    CHECK(edge.stat("downstream_rq_active") == 0);
    CHECK(edge.stat("downstream_cx_active") == 0);
    REQUIRE(edge.logs["log"].size() == 1);
    CHECK(edge.logs["log"][0] == (broken ? "0 DC downstream_remote_disconnect" : "0 DC downstream_local_disconnect"));
  }
}

TEST_CASE("connection: gRPC gets its refusals as a status") {
  Edge edge;
  edge.open(usual());
  const std::string answer = edge.ask("POST /none HTTP/1.1\r\nHost: t\r\nContent-Type: application/grpc\r\n\r\n");
  CHECK(has(answer, "HTTP/1.1 200 OK\r\n"));
  CHECK(has(answer, "grpc-status: 12\r\n"));
}

TEST_CASE("connection: an upgrade that nobody enabled is refused") {
  Edge edge;
  edge.open(usual());
  const std::string answer = edge.ask(get("/u", "Connection: Upgrade\r\nUpgrade: websocket\r\n"));
  CHECK(has(answer, "HTTP/1.1 403 "));
  CHECK(has(answer, "connection: close\r\n"));
}

TEST_CASE("connection: require_tls sends plain requests to https") {
  config::RouteConfiguration table = usual();
  table.virtual_hosts[0].require_tls = true;
  Edge edge;
  edge.open(std::move(table));
  CHECK(has(edge.ask(get("/d?x")), "location: https://t/d?x\r\n"));
}

TEST_CASE("connection: early bytes beyond a limit stop the reading until the request before them is answered") {
  Edge edge;
  edge.open(usual());
  // The head of a request that waits for its body; what follows the body is kept back by nobody yet.
  edge.send("POST /none HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\n");
  CHECK(has(edge.received(), " 404 "));
  CHECK(edge.wire.shut);  // the answer came before the body: HTTP/1 cannot go on
  CHECK(edge.wire.pauses == 0);
}
