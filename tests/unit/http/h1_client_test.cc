#include "proxy/http/h1_client.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/unit/http/codec_harness.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

struct Client {
  explicit Client(std::string_view method = "GET", std::string_view upgrade = "", const CodecLimits& limits = {})
      : codec(make_h1_client(pool, limits)) {
    start();
    RequestHead head = this->head(method);
    head.upgrade = upgrade;
    stream().send_head(head, upgrade.empty() && method != "CONNECT");
    request = take_output(*codec);
  }
  void start() {
    users.push_back(std::make_unique<ClientUser>());
    user().stream = &codec->start(user());
  }
  ClientUser& user() { return *users.back(); }
  ClientStream& stream() { return *user().stream; }
  RequestHead head(std::string_view method) {
    RequestHead h(user().arena());
    h.method = method;
    h.authority = method == "CONNECT" ? "a:1" : "a";
    h.path = method == "CONNECT" ? "" : "/";
    return h;
  }
  void feed(std::string_view bytes) {
    Chain in = chain(pool, bytes);
    fed = codec->feed(in);
    CHECK(in.empty());
  }

  ChunkPool pool;
  std::vector<std::unique_ptr<ClientUser>> users;
  Expected<void> fed;
  std::unique_ptr<ClientCodec> codec;
  std::string request;
};

struct Ask {
  const char* method = "GET";
  const char* upgrade = "";
  bool eof = false;
};

std::string run_cut(std::string_view bytes, Cuts cuts, const Ask& ask) {
  Client c(ask.method, ask.upgrade);
  while (!bytes.empty()) {
    const size_t n = cuts.next(bytes.size());
    c.feed(bytes.substr(0, n));
    bytes.remove_prefix(n);
  }
  if (ask.eof) c.codec->on_eof();
  std::string log = c.user().log.take();
  c.stream().detach();
  return log + (c.codec->is_finished() ? "finished" : "reusable");
}

std::string run(std::string_view bytes, const Ask& ask = {}) {
  const std::string whole = run_cut(bytes, {}, ask);
  for (Cuts& cuts : all_cuts()) {
    CAPTURE(cuts.size);
    CHECK(run_cut(bytes, cuts, ask) == whole);
  }
  return whole;
}

}  // namespace

TEST_CASE("h1_client: responses give the same events however they are cut") {
  struct Case {
    const char* name;
    std::string bytes;
    Ask ask;
    std::string want;
  };
  const Case cases[] = {
      {"length",
       "HTTP/1.1 200 OK\r\nX-A:  b\r\nContent-Length: 2\r\n\r\nok",
       {},
       "response 200 HTTP/1.1 length=2 [X-A: b]\nbody ok\nend\nreusable"},
      {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", {}, "response 200 HTTP/1.1 length=0 end\nreusable"},
      {"chunked with trailers",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\n\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\n\r\n",
       {},
       "response 200 HTTP/1.1\nbody ok\ntrailers [Grpc-Status: 0]\nreusable"},
      {"close",
       "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
       {},
       "response 200 HTTP/1.1 length=2 close\nbody ok\nend\nfinished"},
      {"until close", "HTTP/1.1 200 OK\r\n\r\nabc", {.eof = true}, "response 200 HTTP/1.1\nbody abc\nend\nfinished"},
      {"1.0",
       "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
       {},
       "response 200 HTTP/1.0 length=1 close\nbody x\nend\nfinished"},
      {"1.0 with keep-alive",
       "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
       {},
       "response 200 HTTP/1.0 length=1\nbody x\nend\nreusable"},
      {"HEAD",
       "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n",
       {.method = "HEAD"},
       "response 200 HTTP/1.1 length=20 end\nreusable"},
      {"HEAD chunked",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
       {.method = "HEAD"},
       "response 200 HTTP/1.1 end\nreusable"},
      {"204",
       "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
       {},
       "response 204 HTTP/1.1 length=0 end\nreusable"},
      {"304",
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
       {},
       "response 304 HTTP/1.1 length=7 end\nreusable"},
      {"informational",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 199 \r\n\r\nHTTP/1.1 204 \r\n\r\n",
       {},
       "response 100 HTTP/1.1 informational\nresponse 103 HTTP/1.1 [Link: x] informational\nresponse 199 HTTP/1.1 "
       "informational\nresponse 204 HTTP/1.1 end\nreusable"},
      {"upgrade",
       "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n\r\n\x01\x02",
       {.upgrade = "websocket"},
       "response 101 HTTP/1.1 upgrade=WebSocket\nbody \x01\x02\nfinished"},
      {"upgrade refused",
       "HTTP/1.1 403 No\r\nContent-Length: 1\r\n\r\nx",
       {.upgrade = "websocket"},
       "response 403 HTTP/1.1 length=1\nbody x\nend\nreusable"},
      {"an offer of an upgrade is no upgrade",
       "HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\nx",
       {},
       "response 200 HTTP/1.1 length=1\nbody x\nend\nreusable"},
      {"CONNECT",
       "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxyz",
       {.method = "CONNECT", .eof = true},
       "response 200 HTTP/1.1\nbody xyz\nend\nfinished"},
      {"CONNECT refused",
       "HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx",
       {.method = "CONNECT"},
       "response 407 HTTP/1.1 length=1\nbody x\nend\nreusable"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(run(c.bytes, c.ask) == c.want);
  }
}

TEST_CASE("h1_client: malformed responses are refused however they are cut") {
  struct Case {
    const char* name;
    std::string bytes;
    Ask ask;
  };
  const Case cases[] = {
      {"two CR behind the reason", "HTTP/1.1 200 OK\r\rContent-Length: 1\r\n\r\nx", {}},
      {"two CR and a LF", "HTTP/1.1 200 OK\r\r\nContent-Length: 1\r\n\r\nx", {}},
      {"NUL in the reason", "HTTP/1.1 200 O" + std::string(1, '\0') + "K\r\nContent-Length: 1\r\n\r\nx", {}},
      {"bare LF", "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx", {}},
      {"status 999", "HTTP/1.1 999 X\r\nContent-Length: 1\r\n\r\nx", {}},
      {"status 099", "HTTP/1.1 099 X\r\nContent-Length: 1\r\n\r\nx", {}},
      {"status of two digits", "HTTP/1.1 20 X\r\nContent-Length: 1\r\n\r\nx", {}},
      {"status of four digits", "HTTP/1.1 2000 X\r\nContent-Length: 1\r\n\r\nx", {}},
      {"two spaces before the status", "HTTP/1.1  200 OK\r\nContent-Length: 1\r\n\r\nx", {}},
      {"HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 1\r\n\r\nx", {}},
      {"HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 1\r\n\r\nx", {}},
      {"RTSP", "RTSP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", {}},
      {"empty line in front", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", {}},
      {"100 with a length", "HTTP/1.1 100 Continue\r\nContent-Length: 1\r\n\r\nx", {}},
      {"150 with a length", "HTTP/1.1 150 X\r\nContent-Length: 1\r\n\r\nx", {}},
      {"103 chunked", "HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {}},
      {"101 unasked", "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", {}},
      {"101 with another token",
       "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n",
       {.upgrade = "websocket"}},
      {"101 without token", "HTTP/1.1 101 X\r\n\r\n", {.upgrade = "websocket"}},
      {"CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {}},
      {"two CL", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", {}},
      {"TE gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx", {}},
      {"TE in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {}},
      {"endless 1xx",
       [] {
         std::string s;
         for (int i = 0; i < 20; ++i) s += "HTTP/1.1 102 X\r\n\r\n";
         return s;
       }(),
       {}},
      {"not HTTP", "SSH-2.0-x\r\n\r\n", {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const std::string log = run(c.bytes, c.ask);
    CAPTURE(log);
    CHECK(log.ends_with("reset bad_message\nfinished"));
  }
}

TEST_CASE("h1_client: a response that is cut short is an error that says whether to try again") {
  CHECK(run("", {.eof = true}) == "reset peer_closed if_reused\nfinished");
  CHECK(run("HTTP/1.1 100 Continue\r\n\r\n", {.eof = true}).ends_with("\nreset peer_closed\nfinished"));
  CHECK(run("H", {.eof = true}) == "reset peer_closed\nfinished");
  CHECK(run("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no", {.eof = true}).ends_with("reset peer_closed\nfinished"));
  CHECK(run("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", {.eof = true})
            .ends_with("reset peer_closed\nfinished"));
}

TEST_CASE("h1_client: the request is framed anew and keeps the case of its headers") {
  struct Case {
    const char* name;
    const char* method;
    std::optional<uint64_t> length;
    const char* body;  // nullptr: the head ends the request
    std::string want;
  };
  const Case cases[] = {
      {"GET", "GET", {}, nullptr, "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n"},
      {"POST without body", "POST", {}, nullptr, "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"},
      {"GET with length 0", "GET", 0, nullptr, "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"},
      {"length", "POST", 2, "ok", "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok"},
      {"chunked",
       "POST",
       {},
       "ok",
       "POST / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
      {"GET with a body",
       "GET",
       {},
       "ok",
       "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    ChunkPool pool;
    ClientUser user;
    auto codec = make_h1_client(pool, {});
    user.stream = &codec->start(user);
    RequestHead head(user.arena());
    head.method = c.method;
    head.authority = "a";
    head.path = "/";
    head.content_length = c.length;
    head.headers.add("X-A", "b");
    head.headers.add("Transfer-Encoding", "gzip");
    head.headers.add("Host", "evil");
    user.stream->send_head(head, c.body == nullptr);
    if (c.body != nullptr) user.stream->send_body(chain(pool, c.body), true);
    CHECK(take_output(*codec) == c.want);
  }
}

TEST_CASE("h1_client: te, expect and upgrade are written by the codec") {
  ChunkPool pool;
  ClientUser user;
  auto codec = make_h1_client(pool, {});
  user.stream = &codec->start(user);
  RequestHead head(user.arena());
  head.method = "POST";
  head.authority = "a";
  head.path = "/";
  head.te_trailers = true;
  head.expects_continue = true;
  user.stream->send_head(head, false);
  CHECK(take_output(*codec) ==
        "POST / HTTP/1.1\r\nHost: a\r\nConnection: TE\r\nTE: trailers\r\nExpect: 100-continue\r\nTransfer-Encoding: "
        "chunked\r\n\r\n");
  CHECK(Client("GET", "websocket").request ==
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  CHECK(Client("CONNECT").request == "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
}

TEST_CASE("h1_client: bytes of an upgrade wait for the agreement, and are dropped without it") {
  for (const bool agreed : {true, false}) {
    Client c("GET", "websocket");
    c.stream().send_body(chain(c.pool, "early"), false);
    CHECK(take_output(*c.codec).empty());
    CHECK(c.stream().buffered_bytes() == 5);
    c.feed(agreed ? "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                  : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    c.stream().send_body(chain(c.pool, "later"), true);
    CHECK(take_output(*c.codec) == (agreed ? "earlylater" : ""));
    CHECK(c.codec->is_output_finished() == agreed);
    c.stream().detach();
    CHECK(c.codec->is_finished() == agreed);
  }
}

TEST_CASE("h1_client: what is not fit for the wire is not written, and the connection stays") {
  struct Case {
    const char* name;
    std::function<void(RequestHead&)> spoil;
  };
  const Case cases[] = {
      {"path with space", [](RequestHead& h) { h.path = "/a b"; }},
      {"path with CRLF", [](RequestHead& h) { h.path = "/ HTTP/1.1\r\nX: y"; }},
      {"path with fragment", [](RequestHead& h) { h.path = "/#"; }},
      {"no path", [](RequestHead& h) { h.path = ""; }},
      {"method with space", [](RequestHead& h) { h.method = "GET /x"; }},
      {"authority with CRLF", [](RequestHead& h) { h.authority = "a\r\nX: y"; }},
      {"authority with path", [](RequestHead& h) { h.authority = "a/b"; }},
      {"value with LF", [](RequestHead& h) { h.headers.add("x", "a\nb"); }},
      {"name with colon", [](RequestHead& h) { h.headers.add("x:y", "a"); }},
      {"length without body", [](RequestHead& h) { h.content_length = 5; }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    ChunkPool pool;
    ClientUser user;
    auto codec = make_h1_client(pool, {});
    user.stream = &codec->start(user);
    RequestHead head(user.arena());
    head.method = "GET";
    head.authority = "a";
    head.path = "/";
    c.spoil(head);
    user.stream->send_head(head, true);
    CHECK(codec->wants_produce());
    CHECK(take_output(*codec).empty());
    CHECK(user.log.take() == "reset bad_message\n");
    user.stream->detach();
    CHECK(codec->can_start());
  }
}

TEST_CASE("h1_client: a request body of the wrong length kills the connection") {
  for (const char* body : {"toolong", "sh"}) {
    CAPTURE(body);
    ChunkPool pool;
    ClientUser user;
    auto codec = make_h1_client(pool, {});
    user.stream = &codec->start(user);
    RequestHead head(user.arena());
    head.method = "POST";
    head.authority = "a";
    head.path = "/";
    head.content_length = 4;
    user.stream->send_head(head, false);
    user.stream->send_body(chain(pool, body), true);
    take_output(*codec);
    CHECK(user.log.take() == "reset body_length_mismatch\n");
    CHECK(codec->wants_abort());
    user.stream->detach();
    CHECK(codec->is_finished());
  }
}

TEST_CASE("h1_client: an early response does not stop the request") {
  ChunkPool pool;
  ClientUser user;
  auto codec = make_h1_client(pool, {});
  user.stream = &codec->start(user);
  RequestHead head(user.arena());
  head.method = "POST";
  head.authority = "a";
  head.path = "/";
  head.content_length = 4;
  user.stream->send_head(head, false);
  user.stream->send_body(chain(pool, "ab"), false);
  take_output(*codec);
  Chain in = chain(pool, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  CHECK(codec->feed(in).has_value());
  CHECK(user.log.ended);
  user.stream->send_body(chain(pool, "cd"), true);
  CHECK(take_output(*codec) == "cd");
  user.stream->detach();
  CHECK(codec->can_start());
}

TEST_CASE("h1_client: leaving before the request is out takes the connection along") {
  Client c("POST", "");  // complete request
  c.stream().detach();   // but no response yet
  CHECK(c.codec->is_finished());
  CHECK(!c.codec->can_start());
}

TEST_CASE("h1_client: a request of which nothing was sent can be taken back") {
  ChunkPool pool;
  ClientUser user;
  auto codec = make_h1_client(pool, {});
  user.stream = &codec->start(user);
  RequestHead head(user.arena());
  head.method = "GET";
  head.authority = "a";
  head.path = "/";
  user.stream->send_head(head, true);
  user.stream->reset(Code::downstream_gone);
  CHECK(!codec->wants_produce());
  CHECK(codec->can_start());
  ClientUser again;
  again.stream = &codec->start(again);
  again.stream->send_head(head, true);
  codec->on_connection_lost({.code = Code::peer_reset, .side = Side::upstream});
  CHECK(again.log.take() == "reset peer_reset safe\n");
}

TEST_CASE("h1_client: bytes that nobody asked for make the connection unusable") {
  ChunkPool pool;
  auto codec = make_h1_client(pool, {});
  Chain in = chain(pool, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
  CHECK(!codec->feed(in).has_value());
  CHECK(codec->is_finished());
  Client c;
  c.feed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n");
  CHECK(!c.fed.has_value());
  CHECK(c.user().log.take() == "response 200 HTTP/1.1 length=0 end\n");
  c.stream().detach();
  CHECK(c.codec->is_finished());
}

TEST_CASE("h1_client: many requests over one connection") {
  Client c;
  for (int i = 0; i < 3; ++i) {
    c.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    CHECK(c.user().log.take() == "response 200 HTTP/1.1 length=2\nbody ok\nend\n");
    CHECK(!c.codec->can_start());
    c.stream().detach();
    REQUIRE(c.codec->can_start());
    c.start();
    c.stream().send_head(c.head("GET"), true);
    take_output(*c.codec);
  }
}
