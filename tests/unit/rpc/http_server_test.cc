#include "proxy/rpc/http_server.h"

#include <doctest/doctest.h>

#include "tests/unit/rpc/outside.h"

using namespace pillion;
using namespace pillion::rpc;
using namespace pillion::rpc::test;

namespace {

// Says what it was asked.
struct Echo final : HttpHandler {
  HttpResponse handle(const HttpRequest& request) override {
    ++asked;
    if (request.path == "/large") return {.body = std::string(3 << 20, 'x')};
    HttpResponse response;
    response.body = fmt::format("{} {} ?{} @{} x={} [{}]", request.method, request.path, request.query,
                                request.authority, request.header("x-Test"), request.body);
    response.headers.emplace_back("x-answer", "yes");
    return response;
  }
  int asked = 0;
};

struct Serving : World {
  explicit Serving(HttpServerOptions options = {}) {
    options.listen.address = *Address::parse_ip("127.0.0.1", 0);
    options.handler = &echo;
    auto made = make_http_server(loop, options);
    REQUIRE(made.has_value());
    server = std::move(*made);
  }
  std::string ask(std::string_view bytes) {
    Socket client(server->address());
    client.say(bytes);
    client.shut();
    CHECK(run_until([&] { return client.ended(); }));
    return client.heard();
  }
  Echo echo;
  std::unique_ptr<HttpServer> server;
};

size_t count_of(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++n;
  return n;
}

}  // namespace

TEST_CASE("http_server: a request is collected whole and answered") {
  Serving s;
  const std::string answer =
      s.ask("POST /a/b?c=d HTTP/1.1\r\nHost: here\r\nX-Test: 7\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(answer.find("POST /a/b ?c=d @here x=7 [hello]") != std::string::npos);
  CHECK(answer.find("x-answer: yes\r\n") != std::string::npos);
  CHECK(answer.find("date: ") != std::string::npos);
}

TEST_CASE("http_server: pipelined requests on one connection are answered in order, however they are cut") {
  for (const size_t cut : {1u, 7u, 1000u}) {
    CAPTURE(cut);
    Serving s;
    Socket client(s.server->address());
    const std::string bytes =
        "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n0\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HTTP/1.1\r\nHost: a\r\nConnection: "
        "close\r\n\r\n";
    for (size_t at = 0; at < bytes.size(); at += cut) {
      client.say(std::string_view(bytes).substr(at, cut));
      s.loop.run_once(false);
    }
    REQUIRE(s.run_until([&] { return client.ended(); }));
    const std::string& heard = client.heard();
    CHECK(count_of(heard, "HTTP/1.1 200") == 4);
    CHECK(heard.find("GET /1 ") < heard.find("POST /2 "));
    CHECK(heard.find("[abc]") < heard.find("GET /4 "));
    CHECK(heard.find("HEAD /3") == std::string::npos);
    CHECK(!client.broken());
  }
}

TEST_CASE("http_server: what cannot be taken is refused with a status") {
  struct Case {
    const char* name;
    std::string bytes;
    const char* want;
  };
  const Case cases[] = {
      {"garbage", "nonsense\r\n\r\n", "HTTP/1.1 400"},
      {"a head that is too large", "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n",
       "HTTP/1.1 431"},
      {"a body above the limit", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200\r\n\r\n" + std::string(200, 'x'),
       "HTTP/1.1 413"},
      {"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nxxx",
       "HTTP/1.1 400"},
      {"CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "HTTP/1.1 405"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Serving s({.body_bytes_max = 100});
    const std::string answer = s.ask(c.bytes);
    CHECK(answer.substr(0, 12) == c.want);
    CHECK(s.echo.asked == 0);
  }
}

TEST_CASE("http_server: an upgrade that nobody offers is an ordinary request") {
  Serving s;
  const std::string answer = s.ask(
      "GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
      "AAMAAABk\r\n\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200"));
  CHECK(answer.find("GET /u ") != std::string::npos);
}

TEST_CASE("http_server: expect: 100-continue gets its permission first") {
  Serving s;
  Socket client(s.server->address());
  client.say("POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  REQUIRE(s.run_until([&] { return client.heard().starts_with("HTTP/1.1 100"); }));
  CHECK(s.echo.asked == 0);
  client.say("abc");
  REQUIRE(s.run_until([&] { return client.heard().find("[abc]") != std::string::npos; }));
}

TEST_CASE("http_server: time limits end a slow request and an idle connection") {
  Serving s({.request_timeout = Duration(20'000), .idle_timeout = Duration(20'000)});
  Socket silent(s.server->address());
  Socket slow(s.server->address());
  slow.say("GET / HTT");
  Socket idle(s.server->address());
  idle.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(s.run_until([&] { return silent.ended() && slow.ended() && idle.ended(); }));
  CHECK(silent.heard().empty());
  CHECK(slow.heard().starts_with("HTTP/1.1 408"));
  CHECK(idle.heard().starts_with("HTTP/1.1 200"));
  CHECK(s.echo.asked == 1);
}

TEST_CASE("http_server: connections above the limit are closed, and room is given back") {
  Serving s({.connections_max = 1});
  {
    Socket first(s.server->address());
    first.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    REQUIRE(s.run_until([&] { return first.heard().starts_with("HTTP/1.1 200"); }));
    Socket second(s.server->address());
    CHECK(s.run_until([&] { return second.ended(); }));
    CHECK(second.heard().empty());
  }
  CHECK(s.run_until([&] {
    Socket third(s.server->address());
    third.say("GET /third HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    s.run_until([&] { return third.ended(); });
    return third.heard().find("GET /third") != std::string::npos;
  }));
}

TEST_CASE("http_server: a server that is dropped in the middle of requests closes them") {
  Serving s;
  Socket half(s.server->address());
  half.say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  Socket large(s.server->address());
  large.say("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  REQUIRE(s.run_until([&] { return !large.heard().empty(); }));
  s.server.reset();
  CHECK(s.run_until([&] { return half.ended() && large.ended(); }));
}

TEST_CASE("http_server: curl speaks HTTP/1.1 and HTTP/2 to it") {
  for (const std::string version : {"--http1.1", "--http2-prior-knowledge", "--http2"}) {
    CAPTURE(version);
    Serving s;
    const std::string base = "http://" + s.server->address().to_string();
    Program post({"curl", "-sS", version, "-d", "some=body", base + "/one?x", "-w", "\n%{http_code}\n"});
    Program large({"curl", "-sS", version, base + "/large", "-o", "/dev/null", "-w", "%{size_download} %{http_code}"});
    Program head({"curl", "-sS", version, "-I", base + "/head"});
    REQUIRE(s.run_until([&] { return post.has_ended() && large.has_ended() && head.has_ended(); }));
    CHECK(post.output().starts_with("POST /one ?x"));
    CHECK(post.output().ends_with("[some=body]\n200\n"));
    CHECK(large.output() == "3145728 200");
    CHECK(head.output().find(" 200") != std::string::npos);
    CHECK(head.code() == 0);
  }
}
