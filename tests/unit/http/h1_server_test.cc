#include "proxy/http/h1_server.h"

#include <doctest/doctest.h>

#include <functional>

#include "tests/unit/http/codec_harness.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

// Answers each complete request with "ok" and goes on with what was left over.
struct Answering {
  explicit Answering(const CodecLimits& limits = {}) : codec(make_h1_server(pool, users, limits)) {}

  void read(std::string_view bytes) {
    in.append(pool, bytes);
    for (;;) {
      const size_t before = in.size();
      const Expected<void> fed = codec->feed(in);
      if (!fed) errors += text(fed.error()) + "\n";
      const bool answered = answer();
      output += take_output(*codec);
      if (!answered && in.size() == before) return;
      if (in.empty() && !answered) return;
    }
  }

  bool answer() {
    if (users.users.empty()) return false;
    ServerUser& user = *users.users.back();
    if (user.stream == nullptr || !(user.log.ended || user.log.reset)) return false;
    ResponseHead head(user.arena());
    head.status = user.log.reset ? 400 : 200;
    head.content_length = 2;
    user.stream->send_head(head, false);
    user.stream->send_body(chain(pool, "ok"), true);
    user.detach();
    return true;
  }

  std::string log() { return users.log() + errors; }

  ChunkPool pool;
  ServerUsers users;
  Chain in;
  std::unique_ptr<ServerCodec> codec;
  std::string output;
  std::string errors;
};

std::string run_cut(std::string_view bytes, Cuts cuts, const CodecLimits& limits, std::string* output) {
  Answering a(limits);
  while (!bytes.empty()) {
    const size_t n = cuts.next(bytes.size());
    a.read(bytes.substr(0, n));
    bytes.remove_prefix(n);
  }
  if (output != nullptr) *output = a.output;
  return a.log();
}

// The log of the bytes in one piece, after checking that no other way of cutting them changes it.
std::string run(std::string_view bytes, const CodecLimits& limits = {}, std::string* output = nullptr) {
  std::string whole_output;
  const std::string whole = run_cut(bytes, {}, limits, &whole_output);
  for (Cuts& cuts : all_cuts()) {
    CAPTURE(cuts.size);
    std::string cut_output;
    CHECK(run_cut(bytes, cuts, limits, &cut_output) == whole);
    CHECK(cut_output == whole_output);
  }
  if (output != nullptr) *output = whole_output;
  return whole;
}

// One request that is not answered by itself, for tests of the response.
struct Manual {
  explicit Manual(std::string_view request, const CodecLimits& limits = {})
      : codec(make_h1_server(pool, users, limits)) {
    feed(request);
  }
  void feed(std::string_view bytes) {
    in.append(pool, bytes);
    feed();
  }
  void feed() { fed = codec->feed(in); }
  ServerUser& user() { return *users.users.back(); }
  ServerStream& stream() { return *user().stream; }
  ResponseHead head(uint16_t status) {
    ResponseHead h(user().arena());
    h.status = status;
    return h;
  }
  void send(const ResponseHead& head, std::string_view body, bool end = true) {
    stream().send_head(head, false);
    stream().send_body(chain(pool, body), end);
  }
  std::string output() { return take_output(*codec); }

  ChunkPool pool;
  ServerUsers users;
  Chain in;
  Expected<void> fed;
  std::unique_ptr<ServerCodec> codec;
};

}  // namespace

TEST_CASE("h1_server: well-formed requests give the same events however they are cut") {
  struct Case {
    const char* name;
    std::string bytes;
    std::string want;
  };
  const Case cases[] = {
      {"plain", "GET /a?b=c HTTP/1.1\r\nHost: Example.com:80\r\nX-One:  1 \t\r\nx-empty:\r\n\r\n",
       "request GET |Example.com:80|/a?b=c HTTP/1.1 [X-One: 1] [x-empty: ] end\n"},
      {"one empty line in front", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "request GET |a|/ HTTP/1.1 end\n"},
      {"content-length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
       "request POST |a|/ HTTP/1.1 length=5\nbody hello\nend\n"},
      {"content-length 0", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
       "request POST |a|/ HTTP/1.1 length=0 end\n"},
      {"chunked with extension and trailers",
       "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\nTrailer: X-T\r\n\r\n5;a=b\r\nhello\r\n6\r\n "
       "world\r\n0\r\n"
       "X-T: 1\r\nx-u: 2\r\n\r\n",
       "request PUT |a|/x HTTP/1.1 [Trailer: X-T]\nbody hello world\ntrailers [X-T: 1] [x-u: 2]\n"},
      {"chunked and empty", "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "request PUT |a|/x HTTP/1.1\nend\n"},
      {"three in a row",
       "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 "
       "HTTP/1.1\r\nHost: "
       "a\r\n\r\n",
       "request POST |a|/1 HTTP/1.1 length=1\nbody x\nend\nrequest GET |a|/2 HTTP/1.1 end\nrequest GET |a|/3 HTTP/1.1 "
       "end\n"},
      {"hop-by-hop fields are taken out",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Hop, TE\r\nKeep-Alive: 5\r\nX-Hop: 1\r\nTE: gzip, "
       "trailers;q=1\r\n"
       "Proxy-Connection: close\r\nHTTP2-Settings: x\r\nX-End: 2\r\n\r\n",
       "request GET |a|/ HTTP/1.1 te [X-End: 2] end\n"},
      {"close ends the connection",
       "GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Close\t\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
       "request GET |a|/1 HTTP/1.1 close end\n"},
      {"1.0 closes", "GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n", "request GET ||/1 HTTP/1.0 close end\n"},
      {"1.0 with keep-alive", "GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\nHost: b\r\n\r\n",
       "request GET ||/1 HTTP/1.0 end\nrequest GET |b|/2 HTTP/1.0 close end\n"},
      {"absolute form overrides Host", "GET http://b.example:8080/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
       "request GET http|b.example:8080|/x?y HTTP/1.1 end\n"},
      {"absolute form without path", "OPTIONS HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n",
       "request OPTIONS https|b|* HTTP/1.1 end\n"},
      {"absolute form with query only", "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n",
       "request GET http|b|/?q HTTP/1.1 end\n"},
      {"asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "request OPTIONS |a|* HTTP/1.1 end\n"},
      {"IPv6", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "request GET |[::1]:80|/ HTTP/1.1 end\n"},
      {"expect", "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
       "request POST |a|/ HTTP/1.1 length=1 continue\nbody x\nend\n"},
      {"an unknown expectation behind the known one",
       "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\nContent-Length: 1\r\n\r\nx",
       "request POST |a|/ HTTP/1.1 length=1 [Expect: 100-continue] [Expect: x]\nbody x\nend\n"},
      {"an unknown expectation before the known one",
       "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
       "request POST |a|/ HTTP/1.1 length=1 continue\nbody x\nend\n"},
      {"h2c upgrade is dropped",
       "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n",
       "request GET |a|/ HTTP/1.1 end\n"},
      {"an upgrade that Connection does not name is dropped", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
       "request GET |a|/ HTTP/1.1 end\n"},
      {"an upgrade with a body is an ordinary request",
       "POST / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
       "request POST |a|/ HTTP/1.1 length=1\nbody x\nend\n"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    CHECK(run(c.bytes) == c.want);
  }
}

TEST_CASE("h1_server: what parsers disagree about is refused however it is cut") {
  const std::string host = "Host: a\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\n";
  const std::string chunked = post + "Transfer-Encoding: chunked\r\n\r\n";
  struct Case {
    const char* name;
    std::string bytes;
  };
  const Case cases[] = {
      {"no Host", "GET / HTTP/1.1\r\n\r\n"},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
      {"Host with userinfo", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"},
      {"Host with comma", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"},
      {"Host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"},
      {"HTTP/0.9", "GET / HTTP/0.9\r\n" + host + "\r\n"},
      {"HTTP/2.0", "GET / HTTP/2.0\r\n" + host + "\r\n"},
      {"HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n"},
      {"HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n"},
      {"RTSP", "GET / RTSP/1.0\r\n" + host + "\r\n"},
      {"ICE", "SOURCE / ICE/1.0\r\n" + host + "\r\n"},
      {"no version", "GET /\r\n" + host + "\r\n"},
      {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"two spaces before the target", "GET  / HTTP/1.1\r\n" + host + "\r\n"},
      {"two spaces behind the target", "GET /  HTTP/1.1\r\n" + host + "\r\n"},
      {"space behind the version", "GET / HTTP/1.1 \r\n" + host + "\r\n"},
      {"tab in the request line", "GET\t/ HTTP/1.1\r\n" + host + "\r\n"},
      {"space before the method", " GET / HTTP/1.1\r\n" + host + "\r\n"},
      {"two empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n"},
      {"bare LF in front", "\nGET / HTTP/1.1\r\n" + host + "\r\n"},
      {"bare CR in front", "\rGET / HTTP/1.1\r\n" + host + "\r\n"},
      {"unknown method", "FOO / HTTP/1.1\r\n" + host + "\r\n"},
      {"lower-case method", "get / HTTP/1.1\r\n" + host + "\r\n"},
      {"fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n"},
      {"relative target", "GET a HTTP/1.1\r\n" + host + "\r\n"},
      {"asterisk for GET", "GET * HTTP/1.1\r\n" + host + "\r\n"},
      {"control octet in the target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n"},
      {"absolute form with userinfo", "GET http://u@b/ HTTP/1.1\r\n" + host + "\r\n"},
      {"absolute form with another scheme", "GET ftp://b/ HTTP/1.1\r\n" + host + "\r\n"},
      {"absolute form without authority", "GET http:///x HTTP/1.1\r\n" + host + "\r\n"},
      {"CONNECT to a path", "CONNECT /x HTTP/1.1\r\n" + host + "\r\n"},
      {"CONNECT without port", "CONNECT b HTTP/1.1\r\n" + host + "\r\n"},
      {"CONNECT with a body", "CONNECT b:1 HTTP/1.1\r\n" + host + "Content-Length: 1\r\n\r\nx"},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n"},
      {"bare LF behind a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"},
      {"bare CR behind a field", "GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n"},
      {"NUL in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: a" + std::string(1, '\0') + "b\r\n\r\n"},
      {"obs-fold", "GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n"},
      {"space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
      {"empty name", "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"},
      {"no colon", "GET / HTTP/1.1\r\nHost: a\r\nabc\r\n\r\n"},
      {"name with parenthesis", "GET / HTTP/1.1\r\nHost: a\r\na(b: c\r\n\r\n"},
      {"field in front of the first line", "X: y\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"CL and TE", post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE and CL", post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"},
      {"two equal CL", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"},
      {"CL list", post + "Content-Length: 5, 5\r\n\r\nhello"},
      {"CL with sign", post + "Content-Length: +5\r\n\r\nhello"},
      {"negative CL", post + "Content-Length: -5\r\n\r\nhello"},
      {"CL in hex", post + "Content-Length: 0x5\r\n\r\nhello"},
      {"empty CL", post + "Content-Length:\r\n\r\n"},
      {"CL with space inside", post + "Content-Length: 5 5\r\n\r\nhello"},
      {"CL that overflows", post + "Content-Length: 18446744073709551621\r\n\r\nhello"},
      {"TE in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"TE with leading comma", post + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n"},
      {"TE gzip, chunked", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"},
      {"TE chunked, chunked", post + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n"},
      {"two TE", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
      {"two TE, one identity", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
      {"TE xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
      {"TE identity", post + "Transfer-Encoding: identity\r\n\r\n"},
      {"TE chunked in quotes", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"},
      {"TE with vertical tab", post + "Transfer-Encoding: \x0b"
                                      "chunked\r\n\r\n0\r\n\r\n"},
      {"TE empty", post + "Transfer-Encoding:\r\n\r\n"},
      {"Connection that names Host", post + "Connection: host\r\n\r\n"},
      {"Connection that names a forwarded header", post + "Connection: X-Forwarded-For\r\n\r\n"},
      {"Connection that is no list of tokens", post + "Connection: a b\r\n\r\n"},
      {"chunk size with sign", chunked + "+5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with prefix", chunked + "0x5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with leading space", chunked + " 5\r\nhello\r\n0\r\n\r\n"},
      {"chunk size with trailing space", chunked + "5 \r\nhello\r\n0\r\n\r\n"},
      {"chunk size missing", chunked + "\r\nhello\r\n0\r\n\r\n"},
      {"chunk size that overflows", chunked + "10000000000000005\r\nhello\r\n0\r\n\r\n"},
      {"bare LF behind the chunk size", chunked + "5\nhello\r\n0\r\n\r\n"},
      {"bare LF in the extension", chunked + "5;a\nb\r\nhello\r\n0\r\n\r\n"},
      {"bare CR in the extension", chunked + "5;a\rb\r\nhello\r\n0\r\n\r\n"},
      {"chunk longer than its size", chunked + "5\r\nhelloX\r\n0\r\n\r\n"},
      {"no line end behind the data", chunked + "5\r\nhello0\r\n\r\n"},
      {"endless extension", chunked + "5;" + std::string(5000, 'a') + "\r\nhello\r\n0\r\n\r\n"},
      {"endless zeros", chunked + std::string(5000, '0') + "5\r\nhello\r\n0\r\n\r\n"},
      {"trailer Content-Length", chunked + "0\r\nContent-Length: 5\r\n\r\n"},
      {"trailer Transfer-Encoding", chunked + "0\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"trailer Host", chunked + "0\r\nHost: b\r\n\r\n"},
      {"trailer Authorization", chunked + "0\r\nAuthorization: b\r\n\r\n"},
      {"trailer with obs-fold", chunked + "0\r\nX: a\r\n b\r\n\r\n"},
      {"trailer with bare LF", chunked + "0\r\nX: a\n\r\n"},
      {"bytes of TLS", "\x16\x03\x01\x02"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const std::string smuggled = c.bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    std::string output;
    const std::string log = run(smuggled, {}, &output);
    CAPTURE(log);
    CHECK(log.find("reset bad_message") != std::string::npos);
    CHECK(log.find("smuggled") == std::string::npos);
    CHECK(output.starts_with("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"));
    CHECK(output.find("200 OK") == std::string::npos);
  }
}

TEST_CASE("h1_server: limits are exact and count the URL, the names and the values as they arrive") {
  CodecLimits limits{.head_bytes_max = 200, .headers_max = 3};
  const std::string fixed = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
  auto with_value = [&](size_t n) {
    return "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(n - fixed.size(), 'v') + "\r\n\r\n";
  };
  CHECK(run(with_value(200), limits).ends_with(" end\n"));
  CHECK(run(with_value(201), limits) == "reset head_too_large\nreset head_too_large\n");
  CHECK(run("GET /" + std::string(300, 'u'), limits).starts_with("reset head_too_large\n"));
  CHECK(run("GET / HTTP/1.1\r\n" + std::string(300, 'n'), limits).starts_with("reset head_too_large\n"));
  const std::string two = "GET / HTTP/1.1\r\nHost: a\r\nb: c\r\n";
  CHECK(run(two + "d: e\r\n\r\n", limits).ends_with(" end\n"));
  CHECK(run(two + "d: e\r\nf: g\r\n\r\n", limits).starts_with("reset head_too_large\n"));
  const std::string chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  CHECK(run(chunked + "a: b\r\nc: d\r\ne: f\r\n\r\n", limits).ends_with("trailers [a: b] [c: d] [e: f]\n"));
  CHECK(run(chunked + "a: b\r\nc: d\r\ne: f\r\ng: h\r\n\r\n", limits).find("reset head_too_large") !=
        std::string::npos);
  CHECK(run(chunked + "a: " + std::string(300, 'v'), limits).find("reset head_too_large") != std::string::npos);
  limits.accept_http10 = false;
  CHECK(run("GET / HTTP/1.0\r\n\r\n", limits).starts_with("reset unsupported\n"));
}

TEST_CASE("h1_server: a head that trickles in costs the arena a small multiple of its size") {
  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h1_server(pool, users, {});
  const std::string bytes = "GET /" + std::string(50'000, 'u') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  for (const char c : bytes) {
    Chain in = chain(pool, {&c, 1});
    CHECK(codec->feed(in).has_value());
  }
  CHECK(users.users.at(0)->log.ended);
  CHECK(users.users.at(0)->arena().used() < 3 * bytes.size());
}

TEST_CASE("h1_server: the response is framed anew") {
  const std::string get11 = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string get10 = "GET / HTTP/1.0\r\n\r\n";
  const std::string keep10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
  const std::string head11 = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n";
  struct Case {
    const char* name;
    std::string request;
    uint16_t status;
    std::optional<uint64_t> length;
    std::string body;
    std::string want;
    bool finished;
  };
  const Case cases[] = {
      {"length", get11, 200, 2, "ok", "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\nok", false},
      {"chunked",
       get11,
       200,
       {},
       "ok",
       "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
       false},
      {"1.0 by close", get10, 200, {}, "ok", "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nok", true},
      {"1.0 keep-alive", keep10, 200, 2, "ok",
       "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", false},
      {"1.0 keep-alive without length",
       keep10,
       200,
       {},
       "ok",
       "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nok",
       true},
      {"HEAD", head11, 200, 7, "dropped", "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 7\r\n\r\n", false},
      {"204", get11, 204, 0, "", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", false},
      {"304", get11, 304, 9, "", "HTTP/1.1 304 Not Modified\r\nX-A: b\r\nContent-Length: 9\r\n\r\n", false},
      {"unregistered status", get11, 299, 0, "", "HTTP/1.1 299 \r\nX-A: b\r\nContent-Length: 0\r\n\r\n", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Manual m(c.request);
    ResponseHead head = m.head(c.status);
    head.content_length = c.length;
    head.headers.add("X-A", "b");
    head.headers.add("transfer-encoding", "chunked");  // a filter's mistake must not frame the message
    head.headers.add("Content-Length", "99");
    head.headers.add("Connection", "close");
    m.send(head, c.body);
    CHECK(m.codec->wants_pause());
    m.user().detach();
    CHECK(!m.codec->wants_pause());
    CHECK(m.output() == c.want);
    CHECK(m.codec->is_finished() == c.finished);
    CHECK(!m.codec->wants_abort());
  }
}

TEST_CASE("h1_server: trailers go out behind chunks and nowhere else") {
  for (const bool chunked : {true, false}) {
    Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ResponseHead head = m.head(200);
    if (!chunked) head.content_length = 2;
    m.send(head, "ok", false);
    HeaderMap trailers(m.user().arena());
    trailers.add("Grpc-Status", "0");
    trailers.add("host", "dropped");
    m.stream().send_trailers(trailers);
    const std::string out = m.output();
    CHECK(out.ends_with(chunked ? "\r\n2\r\nok\r\n0\r\nGrpc-Status: 0\r\n\r\n" : "\r\n\r\nok"));
    m.user().detach();
    CHECK(!m.codec->is_finished());
  }
}

TEST_CASE("h1_server: what is not fit for the wire is not written") {
  struct Case {
    const char* name;
    std::function<void(ResponseHead&)> spoil;
  };
  const Case cases[] = {
      {"value with CRLF", [](ResponseHead& h) { h.headers.add("x", "a\r\nSet-Cookie: b"); }},
      {"value with NUL", [](ResponseHead& h) { h.headers.add("x", std::string_view("a\0b", 3)); }},
      {"name with space", [](ResponseHead& h) { h.headers.add("x y", "a"); }},
      {"empty name", [](ResponseHead& h) { h.headers.add("", "a"); }},
      {"pseudo-header", [](ResponseHead& h) { h.headers.add(":status", "200"); }},
      {"status", [](ResponseHead& h) { h.status = 700; }},
      {"101 unasked", [](ResponseHead& h) { h.status = 101; }},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ResponseHead bad = m.head(200);
    c.spoil(bad);
    m.send(bad, "ok");
    CHECK(m.codec->wants_produce());
    CHECK(m.output().empty());
    REQUIRE(m.user().log.reset);
    CHECK(m.user().log.reset->code == Code::bad_message);
    CHECK(m.user().log.reset->side == Side::local);
    ResponseHead good = m.head(502);  // nothing was sent, so it can still be answered
    m.stream().send_head(good, true);
    m.user().detach();
    CHECK(m.output() == "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  }
}

TEST_CASE("h1_server: a body that is not as long as its Content-Length ends the connection with a reset") {
  for (const char* body : {"toolong", "sh"}) {
    CAPTURE(body);
    Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ResponseHead head = m.head(200);
    head.content_length = 4;
    m.send(head, body);
    m.output();
    REQUIRE(m.user().log.reset);
    CHECK(m.user().log.reset->code == Code::body_length_mismatch);
    CHECK(m.codec->wants_abort());
    m.user().detach();
    CHECK(m.codec->is_finished());
  }
}

TEST_CASE("h1_server: an answer before the end of the request closes behind it") {
  Manual m("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  CHECK(!m.codec->wants_pause());
  m.stream().send_head(m.head(413), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  CHECK(m.codec->is_finished());
  m.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(m.in.empty());
  CHECK(m.users.users.size() == 1);
}

TEST_CASE("h1_server: a response may begin before the request ends, and both may end well") {
  Manual m("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
  m.stream().send_head(m.head(200), false);
  m.stream().send_body(chain(m.pool, "x"), false);
  m.feed("def");
  m.stream().send_body(chain(m.pool, "y"), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n1\r\ny\r\n0\r\n\r\n");
  CHECK(!m.codec->is_finished());
  m.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(m.users.users.size() == 2);
}

TEST_CASE("h1_server: 100 and 103 go out before the response, and not to 1.0") {
  for (const bool http10 : {false, true}) {
    Manual m(http10 ? "GET / HTTP/1.0\r\n\r\n" : "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    ResponseHead early = m.head(103);
    early.headers.add("Link", "x");
    m.stream().send_informational(early);
    m.stream().send_informational(m.head(100));
    m.stream().send_head(m.head(204), true);
    m.stream().send_informational(m.head(100));
    const std::string final =
        http10 ? "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n" : "HTTP/1.1 204 No Content\r\n\r\n";
    CHECK(m.output() ==
          (http10 ? final : "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + final));
  }
}

TEST_CASE("h1_server: an upgrade becomes a tunnel when it is agreed to, and early bytes wait until then") {
  const std::string request = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n";
  Manual m(request + "early");
  CHECK(m.user().log.take() == "request GET |a|/chat HTTP/1.1 upgrade=WebSocket\n");
  CHECK(m.codec->wants_pause());
  CHECK(m.in.size() == 5);
  ResponseHead head = m.head(101);
  head.upgrade = "websocket";
  m.stream().send_head(head, false);
  CHECK(!m.codec->wants_pause());
  m.stream().send_body(chain(m.pool, "server"), false);
  CHECK(m.output() == "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nserver");
  m.feed();
  m.feed("later\r\n0\r\n\r\n");
  CHECK(m.user().log.take().ends_with("\nbody earlylater\r\n0\r\n\r\n\n"));
  m.stream().send_body({}, true);
  CHECK(m.codec->is_output_finished());
  CHECK(!m.codec->is_finished());
  m.codec->on_eof();
  CHECK(m.user().log.take().ends_with("\nend\n"));
  m.user().detach();
  CHECK(m.codec->is_finished());
  CHECK(!m.codec->wants_abort());
}

TEST_CASE("h1_server: an upgrade that is refused is an ordinary request") {
  Manual m(
      "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /2 HTTP/1.1\r\nHost: "
      "a\r\n\r\n");
  m.stream().send_head(m.head(404), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
  m.feed();
  REQUIRE(m.users.users.size() == 2);
  CHECK(m.user().log.take() == "request GET |a|/2 HTTP/1.1 end\n");
}

TEST_CASE("h1_server: an upgrade is not agreed to by another token or a 200") {
  Manual m("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  ResponseHead head = m.head(101);
  head.upgrade = "foo";
  m.stream().send_head(head, false);
  CHECK(m.output().empty());
  CHECK(m.user().log.reset->code == Code::bad_message);
}

TEST_CASE("h1_server: CONNECT becomes a tunnel by a 2xx") {
  Manual m("CONNECT b.example:443 HTTP/1.1\r\nHost: a\r\n\r\n\x16\x03");
  CHECK(m.user().log.take() == "request CONNECT |b.example:443| HTTP/1.1\n");
  CHECK(m.in.size() == 2);
  ResponseHead head = m.head(200);
  head.content_length = 5;
  m.stream().send_head(head, false);
  CHECK(m.output() == "HTTP/1.1 200 OK\r\n\r\n");
  m.feed();
  CHECK(m.user().log.take().ends_with("body \x16\x03\n"));
}

TEST_CASE("h1_server: a FIN ends what is not complete, and lets a complete request be answered") {
  Manual idle("");
  idle.codec->on_eof();
  CHECK(idle.codec->is_finished());
  Manual cut("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  cut.codec->on_eof();
  CHECK(cut.user().log.take().ends_with("reset peer_closed\n"));
  cut.user().detach();
  CHECK(cut.codec->is_finished());
  Manual two("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
  two.codec->on_eof();
  two.stream().send_head(two.head(200), true);
  two.user().detach();
  two.output();
  CHECK(!two.codec->is_finished());  // the second request waits
  two.feed();
  REQUIRE(two.users.users.size() == 2);
  two.stream().send_head(two.head(200), true);
  two.user().detach();
  two.output();
  two.feed();
  CHECK(two.codec->is_finished());
}

TEST_CASE("h1_server: a drain closes behind the next response, its last step also when idle") {
  Manual idle("");
  idle.codec->start_drain(false);
  CHECK(!idle.codec->is_finished());
  idle.codec->start_drain(true);
  CHECK(idle.codec->is_finished());
  Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  m.codec->start_drain(false);
  CHECK(!m.codec->is_finished());
  m.stream().send_head(m.head(200), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  CHECK(m.codec->is_finished());
}

TEST_CASE("h1_server: an answer that began before the drain told nobody, so the next one does") {
  Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ResponseHead head = m.head(200);
  head.content_length = 1;
  m.stream().send_head(head, false);
  m.codec->start_drain(false);
  m.stream().send_body(chain(m.pool, "x"), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
  CHECK(!m.codec->is_finished());
  m.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  m.stream().send_head(m.head(200), true);
  m.user().detach();
  CHECK(m.output() == "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  CHECK(m.codec->is_finished());
}

TEST_CASE("h1_server: a lost connection or a reset silences the stream") {
  Manual lost("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  lost.codec->on_connection_lost({.code = Code::peer_reset, .side = Side::downstream});
  CHECK(lost.user().log.take().ends_with("reset peer_reset\n"));
  lost.send(lost.head(200), "x");
  CHECK(!lost.codec->wants_produce());
  lost.user().detach();
  CHECK(lost.codec->is_finished());
  Manual cut("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  cut.stream().send_head(cut.head(200), false);
  cut.output();
  cut.send(cut.head(200), "is dropped", false);
  cut.user().abort(Code::upstream_reset_after_response);
  CHECK(cut.codec->is_finished());
  CHECK(cut.codec->wants_abort());
}

TEST_CASE("h1_server: produce keeps to its budget, and a drained output says so") {
  Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n", {.stream_buffer_bytes = 10'000});
  m.stream().send_head(m.head(200), false);
  CHECK(!m.stream().is_congested());
  m.stream().send_body(chain(m.pool, std::string(30'000, 'x')), false);
  CHECK(m.stream().is_congested());
  Chain out;
  m.codec->produce(out, 20'000);
  CHECK(out.size() == 20'000);
  CHECK(m.user().log.drained == 0);
  m.codec->produce(out, 20'000);
  CHECK(m.user().log.drained == 1);
  CHECK(!m.stream().is_congested());
}

// In smaller reads its head would be out by then; with nothing at all, the client could not tell what happened.
TEST_CASE("h1_server: what was sent before a reset in the same turn goes out, and the connection ends behind it") {
  Manual m("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ResponseHead head = m.head(200);
  m.send(head, "hi", false);
  m.user().abort(Code::bad_message);
  CHECK(m.output() == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
  CHECK(m.codec->is_finished());
  CHECK(m.codec->wants_abort());
}
