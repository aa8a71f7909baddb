// The server of HTTP/2 before clients that do not behave.
#include "proxy/http/h2_server.h"

#include <doctest/doctest.h>

#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

constexpr int64_t kProtocolError = 1;
constexpr int64_t kEnhanceYourCalm = 11;

std::string run_cut(std::string_view bytes, Cuts cuts) {
  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h2_server(pool, users, {});
  std::string errors;
  while (!bytes.empty()) {
    const size_t n = cuts.next(bytes.size());
    Chain in = chain(pool, bytes.substr(0, n));
    if (const Expected<void> fed = codec->feed(in); !fed) errors += text(fed.error()) + "\n";
    take_output(*codec);
    bytes.remove_prefix(n);
  }
  return users.log() + errors;
}

std::string run(std::string_view bytes) {
  const std::string whole = run_cut(bytes, {});
  for (Cuts& cuts : all_cuts()) {
    CAPTURE(cuts.size);
    CHECK(run_cut(bytes, cuts) == whole);
  }
  return whole;
}

}  // namespace

TEST_CASE("h2_server: requests give the same events however their bytes are cut") {
  const std::string body(3000, 'x');
  const std::string padded = frame(kDataFrame, kEndStream | 8, 5, std::string(1, 4) + "data" + std::string(4, '\0'));
  const std::string fragment = hpack(plus(kGet, {{"x-a", "b"}}));
  CHECK(
      run(preface() + headers(1, plus(kPost, {{"content-length", "3000"}}), false) +
          frame(kDataFrame, 0, 1, body.substr(0, 1000)) + frame(kDataFrame, kEndStream, 1, body.substr(1000)) +
          headers(3, plus(kGet, {{"host", "A"}, {"cookie", "a=b"}, {"x", "y"}, {"cookie", "c=d"}}), true) +
          headers(5, kPost, false) + padded + frame(kHeadersFrame, kEndStream, 7, fragment.substr(0, 10)) +
          frame(kContinuationFrame, kEndHeaders, 7, fragment.substr(10)) + headers(9, kPost, false) +
          frame(kDataFrame, 0, 9, "z") + headers(9, {{"x-t", "1"}}, true)) ==
      "request POST http|a|/ HTTP/2 length=3000\nbody " + body +
          "\nend\nrequest GET http|a|/ HTTP/2 [cookie: a=b; c=d] [x: y] end\nrequest POST http|a|/ HTTP/2\nbody data\n"
          "end\nrequest GET http|a|/ HTTP/2 [x-a: b] end\nrequest POST http|a|/ HTTP/2\nbody z\ntrailers [x-t: 1]\n");
}

TEST_CASE("h2_server: a malformed head resets its stream and reaches nobody, and the connection goes on") {
  auto with = [](const char* name, const char* value) {
    Fields fields = kGet;
    for (auto& [n, v] : fields) {
      if (n == name) v = value;
    }
    return fields;
  };
  struct Case {
    const char* name;
    Fields fields;
  };
  const Case cases[] = {
      {"upper-case name", plus(kGet, {{"X-A", "b"}})},
      {"name with space", plus(kGet, {{"x a", "b"}})},
      {"name with colon", plus(kGet, {{"x:a", "b"}})},
      {"empty name", plus(kGet, {{"", "b"}})},
      {"name with CRLF", plus(kGet, {{"x\r\ny", "b"}})},
      {"value with NUL", plus(kGet, {{"x", std::string("a\0b", 3)}})},
      {"value with CRLF", plus(kGet, {{"x", "a\r\nTransfer-Encoding: chunked"}})},
      {"value with leading space", plus(kGet, {{"x", " a"}})},
      {"connection", plus(kGet, {{"connection", "close"}})},
      {"keep-alive", plus(kGet, {{"keep-alive", "5"}})},
      {"proxy-connection", plus(kGet, {{"proxy-connection", "close"}})},
      {"transfer-encoding", plus(kGet, {{"transfer-encoding", "chunked"}})},
      {"upgrade", plus(kGet, {{"upgrade", "websocket"}})},
      {"te other than trailers", plus(kGet, {{"te", "gzip"}})},
      {"no method", {{":scheme", "http"}, {":path", "/"}, {":authority", "a"}}},
      {"no scheme", {{":method", "GET"}, {":path", "/"}, {":authority", "a"}}},
      {"no path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}},
      {"no authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}},
      {"empty path", with(":path", "")},
      {"relative path", with(":path", "x")},
      {"path with space", with(":path", "/a b")},
      {"path with CRLF", with(":path", "/ HTTP/1.1\r\nx: y")},
      {"path with fragment", with(":path", "/#x")},
      {"absolute path", with(":path", "http://b/")},
      {"asterisk for GET", with(":path", "*")},
      {"method with space", with(":method", "GET /x")},
      {"empty method", with(":method", "")},
      {"scheme ftp", with(":scheme", "ftp")},
      {"scheme with CRLF", with(":scheme", "http\r\n")},
      {"authority with userinfo", with(":authority", "u@a")},
      {"authority with comma", with(":authority", "a,b")},
      {"authority with path", with(":authority", "a/b")},
      {"authority with CRLF", with(":authority", "a\r\nx: y")},
      {"authority with bad port", with(":authority", "a:b")},
      {"Host that differs", plus(kGet, {{"host", "b"}})},
      {"two Hosts", plus(kGet, {{"host", "a"}, {"host", "a"}})},
      {"pseudo-header twice", plus({{":path", "/x"}}, kGet)},
      {"pseudo-header behind a field", {{":method", "GET"}, {"x", "y"}, {":scheme", "http"}, {":path", "/"}}},
      {"unknown pseudo-header", plus({{":x", "y"}}, kGet)},
      {"response pseudo-header", plus({{":status", "200"}}, kGet)},
      {"protocol without CONNECT", plus({{":protocol", "websocket"}}, kGet)},
      {"two lengths", plus(kGet, {{"content-length", "0"}, {"content-length", "0"}})},
      {"length of garbage", plus(kGet, {{"content-length", "x"}})},
      {"length with no body", plus(kGet, {{"content-length", "5"}})},
      {"CONNECT with path", plus(with(":method", "CONNECT"), {})},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    RawServer server;
    const Expected<void> fed = server.feed(headers(1, c.fields, true));
    const int64_t reset = server.sent(kResetFrame);
    CAPTURE(reset);
    const std::string log = server.users.log();
    CAPTURE(log);
    CHECK(fed.has_value());
    CHECK(log.find("request") == std::string::npos);
    CHECK(log == "reset bad_message\n");
    if (reset == -1) {
      // Refused by us and not by nghttp2: the user may answer, and resets when it does not.
      server.user().detach();
      CHECK(server.sent(kResetFrame) != -1);
    } else {
      server.user().detach();
    }
    CHECK(server.codec->active_streams() == 0);
    CHECK(server.feed(headers(3, kGet, true)).has_value());
    REQUIRE(server.users.users.size() == 2);
    CHECK(server.user(1).log.take() == "request GET http|a|/ HTTP/2 end\n");
  }
}

TEST_CASE("h2_server: only tokens and field values arrive, which is why they are not looked at again") {
  int names = 0;
  int values = 0;
  for (int octet = 0; octet < 256; ++octet) {
    CAPTURE(octet);
    const std::string odd{'a', static_cast<char>(octet), 'b'};
    for (const bool is_name : {true, false}) {
      RawServer server;
      const Fields fields = plus(kGet, {{is_name ? odd : "x", is_name ? "v" : odd}});
      (void)server.feed(headers(1, fields, true));
      const std::optional<RequestHead>& request = server.user().request;
      if (!request) {
        server.user().detach();
        continue;
      }
      ++(is_name ? names : values);
      for (const Header& h : request->headers) {
        CHECK(is_token(h.name));
        CHECK(is_field_value(h.value));
      }
      server.user().detach();
    }
  }
  CHECK(names > 40);    // lower-case letters, digits and fifteen others
  CHECK(values > 200);  // not the controls
}

TEST_CASE("h2_server: a body that breaks the rules resets its stream") {
  struct Case {
    const char* name;
    std::string frames;
  };
  const std::string post = headers(1, plus(kPost, {{"content-length", "5"}}), false);
  const std::string open = headers(1, kPost, false);
  const Case cases[] = {
      {"longer than its length", post + frame(kDataFrame, 0, 1, "toolong")},
      {"shorter than its length", post + frame(kDataFrame, kEndStream, 1, "abc")},
      {"trailers before the length is reached", post + headers(1, {{"x", "y"}}, true)},
      {"trailers that do not end the stream", open + headers(1, {{"x", "y"}}, false)},
      {"trailers with a pseudo-header", open + headers(1, {{":path", "/"}}, true)},
      {"trailer content-length", open + headers(1, {{"content-length", "3"}}, true)},
      {"trailer host", open + headers(1, {{"host", "a"}}, true)},
      {"trailer authorization", open + headers(1, {{"authorization", "a"}}, true)},
      {"trailer te", open + headers(1, {{"te", "trailers"}}, true)},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    RawServer server;
    CHECK(server.feed(c.frames).has_value());
    CHECK(server.sent(kResetFrame) == kProtocolError);
    const std::string log = server.users.log();
    CAPTURE(log);
    CHECK(log.ends_with("reset bad_message\n"));
    CHECK(log.find("trailers") == std::string::npos);
    server.user().detach();
    CHECK(server.codec->active_streams() == 0);
  }
}

TEST_CASE("h2_server: errors of the connection end it with a GOAWAY, and every stream hears of it") {
  struct Case {
    const char* name;
    std::string bytes;
  };
  const Case cases[] = {
      {"no SETTINGS first", frame(kPingFrame, 0, 0, "12345678")},
      {"DATA on stream 0", preface() + frame(kDataFrame, 0, 0, "x")},
      {"even stream", preface() + headers(2, kGet, true)},
      {"frame that is too large", preface() + frame(kPingFrame, 0, 0, std::string(20'000, 'x'))},
      {"PING of another size", preface() + frame(kPingFrame, 0, 0, "1234")},
      {"broken HPACK", preface() + frame(kHeadersFrame, kEndHeaders | kEndStream, 1, "\xff\xff\xff\xff\xff\xff")},
      {"window that overflows", preface() + frame(kWindowFrame, 0, 0, u32(0x7fffffff))},
      {"HEADERS between CONTINUATIONs",
       preface() + frame(kHeadersFrame, kEndStream, 1, hpack(kGet)) + headers(3, kGet, true)},
      {"SETTINGS with a bad window",
       preface() + frame(kSettingsFrame, 0, 0, std::string("\0\x04", 2) + u32(0xffffffff))},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    ChunkPool pool;
    ServerUsers users;
    auto codec = make_h2_server(pool, users, {});
    const bool has_preface = c.bytes.starts_with("PRI");
    for (const std::string& bytes : {has_preface ? preface() + headers(1, kPost, false) : std::string(kH2Preface),
                                     has_preface ? c.bytes.substr(preface().size()) : c.bytes}) {
      Chain in = chain(pool, bytes);
      (void)codec->feed(in);
    }
    bool goaway = false;
    for (const Frame& f : frames(take_output(*codec))) goaway = goaway || (f.type == kGoawayFrame && f.number(4) != 0);
    CHECK(goaway);
    CHECK(codec->is_finished());
    REQUIRE(codec->failure() != nullptr);
    const bool is_window = std::string_view(c.name).find("window") != std::string_view::npos;
    CHECK(codec->failure()->code == (is_window ? Code::flow_control_error : Code::bad_message));
    Chain more = chain(pool, frame(kPingFrame, 0, 0, "12345678"));
    (void)codec->feed(more);
    CHECK(more.empty());
    for (auto& user : users.users) {
      CHECK(user->log.reset.has_value());
      user->detach();
    }
    CHECK(codec->active_streams() == 0);
  }
}

// RFC 9113 5.1, 5.1.1, 6.3. Of streams that we reset ourselves, frames may still be under way: those are no error.
TEST_CASE("h2_server: frames on streams that their sender has ended or passed over are errors of the connection") {
  constexpr int64_t kStreamClosed = 5;
  const std::string reset = headers(1, kPost, false) + frame(kResetFrame, 0, 1, u32(8));
  struct Case {
    const char* name;
    std::string bytes;
    int64_t error;
  };
  const Case cases[] = {
      {"HEADERS after its RST_STREAM", reset + headers(1, kGet, true), kStreamClosed},
      {"WINDOW_UPDATE after its RST_STREAM", reset + frame(kWindowFrame, 0, 1, u32(1)), -1},
      {"DATA after its RST_STREAM", reset + frame(kDataFrame, 0, 1, "x"), kStreamClosed},
      {"DATA after both ends", headers(1, kGet, true) + "answer" + frame(kDataFrame, 0, 1, "x"), kStreamClosed},
      {"DATA after its END_STREAM", headers(1, kGet, true) + frame(kDataFrame, 0, 1, "x"), kStreamClosed},
      {"DATA on one that was passed over", headers(5, kGet, true) + frame(kDataFrame, 0, 3, "x"), kProtocolError},
      {"HEADERS after both ends", headers(1, kGet, true) + "answer" + headers(1, kGet, true), kStreamClosed},
      {"RST_STREAM after both ends", headers(1, kGet, true) + "answer" + frame(kResetFrame, 0, 1, u32(8)), -1},
      {"DATA after our reset", headers(1, kPost, false) + "reset" + frame(kDataFrame, 0, 1, "x"), -1},
      {"HEADERS after our reset", headers(1, kPost, false) + "reset" + headers(1, {{"x-t", "1"}}, true), -1},
      {"a stream that was passed over", headers(5, kGet, true) + headers(3, kGet, true), kProtocolError},
      {"PRIORITY on one that was passed over", headers(5, kGet, true) + frame(kPriorityFrame, 0, 3, u32(0) + "x"), -1},
      {"PRIORITY on stream 0", frame(kPriorityFrame, 0, 0, u32(0) + "x"), kProtocolError},
  };
  for (size_t i = 0; i < 2 * std::size(cases); ++i) {
    const Case& c = cases[i / 2];
    const size_t cut = i % 2 == 0 ? c.bytes.size() : 1;
    CAPTURE(c.name);
    CAPTURE(cut);
    RawServer server;
    std::string_view rest = c.bytes;
    for (const std::string_view act : {"answer", "reset"}) {
      const size_t at = rest.find(act);
      if (at == std::string_view::npos) continue;
      (void)server.feed(rest.substr(0, at));
      if (act == "answer") {
        ResponseHead head(server.user().arena());
        head.status = 200;
        server.user().stream->send_head(head, true);
        server.user().detach();
      } else {
        server.user().abort(Code::internal);
      }
      server.output();
      rest.remove_prefix(at + act.size());
    }
    for (size_t at = 0; at < rest.size(); at += cut) (void)server.feed(rest.substr(at, cut));
    CHECK(server.sent(kGoawayFrame) == c.error);
    CHECK(server.users.users.size() <= 1);
    for (auto& user : server.users.users) {
      if (user->stream != nullptr) user->detach();
    }
  }
}

TEST_CASE("h2_server: something else than HTTP/2 is refused at once") {
  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h2_server(pool, users, {});
  Chain in = chain(pool, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  CHECK(!codec->feed(in).has_value());
  take_output(*codec);
  CHECK(codec->is_finished());
}

TEST_CASE("h2_server: floods end the connection with ENHANCE_YOUR_CALM") {
  auto many = [](size_t n, auto make) {
    std::string out;
    for (size_t i = 0; i < n; ++i) out += make(i);
    return out;
  };
  auto id = [](size_t i) { return static_cast<uint32_t>(2 * i + 1); };
  const std::string open = headers(1, kPost, false);
  struct Case {
    const char* name;
    std::string bytes;
    const char* what;
  };
  const Case cases[] = {
      {"empty DATA", open + many(2, [](size_t) { return frame(kDataFrame, 0, 1, ""); }), "flood of empty frames"},
      {"PRIORITY", many(101, [](size_t) { return frame(kPriorityFrame, 0, 1, u32(0) + "x"); }),
       "flood of PRIORITY frames"},
      {"WINDOW_UPDATE", many(6, [](size_t) { return frame(kWindowFrame, 0, 0, u32(1)); }),
       "flood of WINDOW_UPDATE frames"},
      {"SETTINGS", many(101, [](size_t) { return frame(kSettingsFrame, 0, 0, ""); }), "flood of SETTINGS frames"},
      {"PING", many(1001, [](size_t) { return frame(kPingFrame, 0, 0, "12345678"); }), nullptr},
      {"rapid reset",
       many(201, [&](size_t i) { return headers(id(i), kGet, true) + frame(kResetFrame, 0, id(i), u32(8)); }),
       "flood of RST_STREAM frames"},
      {"header bytes",
       many(1,
            [&](size_t) {
              // 30 references to one large entry of the dynamic table.
              std::string block = hpack(kGet) + "\x40" + hpack_string("x") + hpack_string(std::string(4000, 'v'));
              block += std::string(80, static_cast<char>(0xbe));
              return frame(kHeadersFrame, kEndHeaders | kEndStream, 1, block);
            }),
       "flood of header bytes"},
      {"CONTINUATION",
       frame(kHeadersFrame, kEndStream, 1, hpack(kGet)) +
           many(20, [](size_t) { return frame(kContinuationFrame, 0, 1, ""); }),
       nullptr},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    RawServer server;
    const Expected<void> fed = server.feed(c.bytes);
    REQUIRE(!fed.has_value());
    CHECK(fed.error().code == Code::flood);
    if (c.what != nullptr) CHECK(std::string(fed.error().what) == c.what);
    CHECK(server.sent(kGoawayFrame) == kEnhanceYourCalm);
    CHECK(server.codec->is_finished());
    for (auto& user : server.users.users) CHECK(user->log.reset.has_value());
  }
}

TEST_CASE("h2_server: errors that make us reset streams are limited too") {
  RawServer server;
  bool ended = false;
  for (uint32_t i = 0; i < 300 && !ended; ++i) {
    const Expected<void> fed = server.feed(headers(2 * i + 1, plus(kGet, {{"connection", "x"}}), true));
    for (auto& user : server.users.users) {
      if (user->stream != nullptr) user->detach();
    }
    server.output();
    ended = !fed.has_value();
    if (ended) CHECK(std::string(fed.error().what) == "flood of errors that reset streams");
    if (ended) CHECK(i > 199);
  }
  CHECK(ended);
  CHECK(server.codec->is_finished());
}

TEST_CASE("h2_server: resets in proportion to the work, or spread over time, are no flood") {
  for (const bool by_minutes : {true, false}) {
    RawServer server;
    uint32_t id = 1;
    for (int i = 0; i < 600; ++i) {
      REQUIRE(server.feed(headers(id, kGet, true) + frame(kResetFrame, 0, id, u32(8))).has_value());
      server.users.users.back()->detach();
      id += 2;
      if (by_minutes) {
        if (i % 150 == 0) server.codec->on_minute();
      } else {
        REQUIRE(server.feed(headers(id, kGet, true)).has_value());
        ServerUser& user = *server.users.users.back();
        ResponseHead head(user.arena());
        head.status = 200;
        user.stream->send_head(head, true);
        user.detach();
        id += 2;
      }
      server.output();
    }
    CHECK(server.codec->active_streams() == 0);
  }
}

TEST_CASE("h2_server: streams that their user has not left yet are bounded") {
  RawServer server({.concurrent_streams_max = 4, .resets_per_minute_max = 1000});
  server.output();
  CHECK(server.feed(frame(kSettingsFrame, kAck, 0, "")).has_value());
  for (uint32_t i = 0; i < 50; ++i) {
    (void)server.feed(headers(2 * i + 1, kGet, true) + frame(kResetFrame, 0, 2 * i + 1, u32(8)));
    server.output();
  }
  CHECK(server.users.users.size() == 8);
}

TEST_CASE("h2_server: more streams than offered are refused, or end the connection of a client that knew") {
  const std::string three = headers(1, kPost, false) + headers(3, kPost, false) + headers(5, kPost, false);
  RawServer early({.concurrent_streams_max = 2});
  CHECK(early.feed(three).has_value());
  CHECK(early.sent(kResetFrame) == 7);
  CHECK(early.users.users.size() == 2);
  RawServer late({.concurrent_streams_max = 2});
  late.output();
  (void)late.feed(frame(kSettingsFrame, kAck, 0, "") + three);
  CHECK(late.sent(kGoawayFrame) == kProtocolError);
  CHECK(late.users.users.size() == 2);
  CHECK(late.user(0).log.reset.has_value());
}

TEST_CASE("h2_server: a peer that does not read is not heard") {
  RawServer server({.outbound_frames_max = 100});
  CHECK(!server.codec->wants_pause());
  std::string pings;
  for (int i = 0; i < 60; ++i) pings += frame(kPingFrame, 0, 0, "12345678");
  CHECK(server.feed(pings).has_value());
  CHECK(server.codec->wants_pause());
  server.output();
  CHECK(!server.codec->wants_pause());
}

TEST_CASE("h2_server: what it offers") {
  ChunkPool pool;
  ServerUsers users;
  auto codec = make_h2_server(pool, users, {});
  const std::vector<Frame> out = frames(take_output(*codec));
  REQUIRE(out.size() == 2);
  CHECK(out[0].type == kSettingsFrame);
  CHECK(out[0].payload.size() == 5 * 6);
  CHECK(out[1].type == kWindowFrame);
  CHECK(out[1].number(0) == 1024 * 1024 - 65535);
}
