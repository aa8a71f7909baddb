// HTTP/1 inside of HTTP/2: what two Pillions tell each other, and what nobody else can.
#include "proxy/http/carry.h"

#include <doctest/doctest.h>

#include "proxy/http/h1_server.h"
#include "proxy/http/h2_client.h"
#include "proxy/http/h2_server.h"
#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

CodecLimits carrying() {
  CodecLimits limits;
  limits.carries_http1 = true;
  return limits;
}

std::string written(std::initializer_list<const char*> names) {
  CarriedWriter writer;
  writer.start();
  for (const char* name : names) writer.add(name);
  return std::string(writer.value());
}

// The names that a block has once `value` was applied, or what is wrong with it.
std::string applied(std::string_view value, std::initializer_list<const char*> names) {
  Arena arena;
  HeaderMap fields(arena);
  for (const char* name : names) fields.add(name, "v");
  Version version{};
  if (const char* fault = apply_carried(value, fields, version)) return fault;
  std::string out(name_of(version));
  for (const Header& h : fields) out += " " + text(h.name);
  return out;
}

// What a server says of one block of request fields.
std::string served(const Fields& fields, const CodecLimits& limits) {
  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h2_server(pool, users, limits);
  Chain in = chain(pool, preface() + headers(1, fields, true));
  const bool fed = codec->feed(in).has_value();
  take_output(*codec);
  return users.log() + (fed ? "" : "failed\n");
}

Fields with(const char* value) {
  return plus(kGet, {{"user-agent", "curl"}, {"x-custom", "v"}, {"x-pillion-http1", value}});
}

}  // namespace

TEST_CASE("carry: names are told in the order of the fields, those in lower case by their place only") {
  CHECK(written({}) == "1");
  CHECK(written({"a", "b-c"}) == "1");
  CHECK(written({"User-Agent", "accept", "x", "X-CuStOm", "z"}) == "1,User-Agent;;,X-CuStOm");
  CHECK(written({"eTag", "ABCDEFGH", "abcdefgh", "abcdefghI"}) == "1,eTag,ABCDEFGH;,abcdefghI");
  CHECK(applied("1,User-Agent;;,X-CuStOm", {"user-agent", "accept", "x", "x-custom", "z"}) ==
        "HTTP/1.1 User-Agent accept x X-CuStOm z");
  // Two fields of one name that are spelled differently keep their own.
  CHECK(applied(written({"x-a", "X-A", "x-A"}), {"x-a", "x-a", "x-a"}) == "HTTP/1.1 x-a X-A x-A");
}

TEST_CASE("carry: what is not what a writer writes is refused") {
  for (const char* value : {"2", "x", "1User-Agent", "1,", "1,User", "1,User-Agent,", "1,user-agents", "1,,", "1;;;,X",
                            "1,User-Agent,X-Custom;,Y", "1, User-Agent", "1,User-Agent;x"}) {
    CAPTURE(value);
    CHECK(applied(value, {"user-agent", "x-custom"}) == "the spelling of names is malformed");
  }
  CHECK(applied("0", {"a"}) == "HTTP/1.0 a");
  CHECK(applied("n", {}) == "HTTP/1.0");
  CHECK(applied("1;;", {"a", "b"}) == "HTTP/1.1 a b");
}

TEST_CASE("carry: names beyond the limit arrive in lower case, and a longer value is refused") {
  CarriedWriter writer;
  writer.start();
  const std::string name(1000, 'A');
  for (int i = 0; i < 40; ++i) writer.add(name);
  CHECK(writer.value().size() <= kCarriedBytesMax);
  CHECK(writer.value().size() > kCarriedBytesMax - 2 * name.size());
  CodecLimits limits = carrying();
  limits.head_bytes_max = 1024 * 1024;
  const std::string too_long = "1" + std::string(kCarriedBytesMax, ';');
  CHECK(served(plus(kGet, {{"x-pillion-http1", too_long}}), limits) == "reset head_too_large\n");
}

TEST_CASE("carry: a request of HTTP/1 is the same behind HTTP/2, and its response too") {
  for (const size_t cut : {SIZE_MAX, size_t{1}, size_t{7}}) {
    CAPTURE(cut);
    Pair p(carrying(), carrying());
    ClientUser& c = p.start();
    RequestHead head = p.head(c, "POST", "/a");
    head.version = Version::http11;
    head.scheme = "";
    for (const auto& [name, value] : {std::pair{"User-Agent", "curl"},
                                      {"x-lower", "1"},
                                      {"X-CuStOm", "v"},
                                      {"Cookie", "a=b"},
                                      {"Cookie", "c=d"},
                                      {"X-Pillion-HTTP1", "0,evil"}}) {
      head.headers.add(name, value);
    }
    c.stream->send_head(head, false);
    HeaderMap trailers(c.arena());
    trailers.add("X-Sum", "1");
    trailers.add("x-pillion-http1", "1,X-SUM");
    c.stream->send_trailers(trailers);
    p.pump(cut);
    CHECK(p.user().log.take() ==
          "request POST |a|/a HTTP/1.1 [User-Agent: curl] [x-lower: 1] [X-CuStOm: v] [Cookie: a=b] [Cookie: c=d]\n"
          "trailers [X-Sum: 1]\n");
    ResponseHead early = p.answer(p.user(), 103);
    early.headers.add("Link", "x");
    p.user().stream->send_informational(early);
    ResponseHead response = p.answer(p.user());
    response.headers.add("x-a", "1");
    response.headers.add("ETag", "2");
    p.user().stream->send_head(response, false);
    HeaderMap status(p.user().arena());
    status.add("X-End", "1");
    p.user().stream->send_trailers(status);
    p.pump(cut);
    CHECK(c.log.take() ==
          "response 103 HTTP/2 [Link: x] informational\nresponse 200 HTTP/2 [x-a: 1] [ETag: 2]\n"
          "trailers [X-End: 1]\n");
    c.stream->detach();
    p.user().detach();
    p.pump();
    CHECK(p.errors.empty());
  }
}

TEST_CASE("carry: the version passes, also of a client of HTTP/1.0 that names no host, and of one of HTTP/2") {
  for (const auto& [version, authority, want] : {std::tuple{Version::http10, "a", "request GET |a|/ HTTP/1.0 end\n"},
                                                 {Version::http10, "", "request GET ||/ HTTP/1.0 end\n"},
                                                 {Version::http11, "a", "request GET |a|/ HTTP/1.1 end\n"},
                                                 {Version::http2, "a", "request GET http|a|/ HTTP/2 end\n"}}) {
    Pair p(carrying(), carrying());
    ClientUser& c = p.start();
    RequestHead head = p.head(c, "GET", "/");
    head.version = version;
    head.authority = authority;
    c.stream->send_head(head, true);
    p.pump();
    CHECK(p.user().log.take() == want);
    p.user().detach();
    c.stream->detach();
    p.pump();
  }
  CodecLimits strict = carrying();
  strict.accept_http10 = false;
  CHECK(served(plus(kGet, {{"x-pillion-http1", "0"}}), strict) == "reset unsupported\n");
}

TEST_CASE("carry: an upgrade keeps the names of its handshake") {
  Pair p(carrying(), carrying());
  ClientUser& c = p.start();
  RequestHead head = p.head(c, "GET", "/chat");
  head.version = Version::http11;
  head.upgrade = "WebSocket";
  head.headers.add("Sec-WebSocket-Key", "x");
  c.stream->send_head(head, false);
  p.pump();
  CHECK(p.user().log.take() == "request GET |a|/chat HTTP/1.1 upgrade=WebSocket [Sec-WebSocket-Key: x]\n");
  ResponseHead agreed = p.answer(p.user(), 101);
  agreed.upgrade = "websocket";
  agreed.headers.add("Sec-WebSocket-Accept", "y");
  p.user().stream->send_head(agreed, false);
  p.pump();
  CHECK(c.log.take() == "response 101 HTTP/2 upgrade=WebSocket [Sec-WebSocket-Accept: y]\n");
  c.stream->reset(Code::local_close);
  p.user().abort(Code::local_close);
  p.pump();
}

TEST_CASE("carry: from a stranger the field says nothing and goes nowhere") {
  const char* plain = "request GET http|a|/ HTTP/2 [user-agent: curl] [x-custom: v] end\n";
  CHECK(served(with("1,USER-AGENT,X-CUSTOM"), {}) == plain);
  CHECK(served(with("garbage"), {}) == plain);
  CHECK(served(plus(with("1"), {{"x-pillion-http1", "1"}}), {}) == plain);
  CodecLimits small;
  small.head_bytes_max = 200;
  CHECK(served(with(std::string(200, 'x').c_str()), small) == "reset head_too_large\n");

  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h1_server(pool, users, {});
  Chain in = chain(pool,
                   "POST / HTTP/1.1\r\nHost: a\r\nX-Pillion-Http1: 1,HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "0\r\nx-pillion-http1: 1\r\nX-T: 1\r\n\r\n");
  CHECK(!codec->feed(in).has_value());
  CHECK(users.log() == "request POST |a|/ HTTP/1.1\nreset bad_message\n");  // as any other trailer that frames
}

TEST_CASE("carry: a peer that agreed to it is still held to the format") {
  CHECK(served(with("1,User-AGENT,X-CuStOm"), carrying()) ==
        "request GET |a|/ HTTP/1.1 [User-AGENT: curl] [X-CuStOm: v] end\n");
  for (const char* value : {"1,Host", "7", "1,User-Agent,X-Custom,Z"}) {
    CAPTURE(value);
    CHECK(served(with(value), carrying()) == "reset bad_message\n");
  }
  CHECK(served(plus(with("1"), {{"x-pillion-http1", "1"}}), carrying()) == "reset bad_message\n");
  // It cannot smuggle what a codec writes: a name only changes its letters' size.
  CHECK(served(with("1;,X-CuStOm:"), carrying()) == "reset bad_message\n");
}
