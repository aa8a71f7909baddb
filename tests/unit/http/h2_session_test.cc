// The server and the client of HTTP/2, wired to each other.
#include "proxy/http/h2_session.h"

#include <doctest/doctest.h>

#include "proxy/http/h2_client.h"
#include "proxy/http/h2_server.h"
#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

TEST_CASE("h2: a request and its response travel with heads, bodies and trailers") {
  for (const size_t cut : {SIZE_MAX, size_t{1}, size_t{7}}) {
    CAPTURE(cut);
    Pair p;
    ClientUser& c = p.start();
    RequestHead head = p.head(c, "POST", "/a?b");
    head.te_trailers = true;
    head.headers.add("X-Request-Id", "1");
    head.headers.add("Connection", "close");
    head.headers.add("host", "evil");
    head.headers.add("cookie", "a=b");
    head.headers.add("cookie", "c=d");
    c.stream->send_head(head, false);
    c.stream->send_body(chain(p.pool, "hello"), false);
    HeaderMap trailers(c.arena());
    trailers.add("X-T", "1");
    trailers.add("Content-Length", "9");
    c.stream->send_trailers(trailers);
    p.pump(cut);
    REQUIRE(p.users.users.size() == 1);
    CHECK(p.user().log.take() ==
          "request POST http|a|/a?b HTTP/2 te [x-request-id: 1] [cookie: a=b; c=d]\nbody hello\ntrailers [x-t: 1]\n");

    ResponseHead early = p.answer(p.user(), 103);
    early.headers.add("link", "x");
    p.user().stream->send_informational(early);
    ResponseHead response = p.answer(p.user());
    response.headers.add("Server", "s");
    p.user().stream->send_head(response, false);
    p.user().stream->send_body(chain(p.pool, "world"), false);
    HeaderMap status(p.user().arena());
    status.add("grpc-status", "0");
    p.user().stream->send_trailers(status);
    p.user().detach();  // before anything went out
    p.pump(cut);
    CHECK(c.log.take() ==
          "response 103 HTTP/2 [link: x] informational\nresponse 200 HTTP/2 [server: s]\nbody world\ntrailers "
          "[grpc-status: 0]\n");
    CHECK(p.client->active_streams() == 1);
    c.stream->detach();
    p.pump();
    CHECK(p.client->active_streams() == 0);
    CHECK(p.server->active_streams() == 0);
    CHECK(p.errors.empty());
    CHECK(!p.client->is_finished());
    CHECK(p.client->can_start());
  }
}

TEST_CASE("h2: heads that end the stream need no DATA") {
  Pair p;
  ClientUser& c = p.request();
  CHECK(p.user().log.take() == "request GET http|a|/ HTTP/2 end\n");
  ResponseHead head = p.answer(p.user(), 204);
  p.user().stream->send_head(head, true);
  p.pump();
  CHECK(c.log.take() == "response 204 HTTP/2 end\n");
  // A response to HEAD keeps its length and loses its body.
  ClientUser& h = p.request("HEAD");
  ResponseHead full = p.answer(p.user(1));
  full.content_length = 4;
  p.user(1).stream->send_head(full, false);
  p.user(1).stream->send_body(chain(p.pool, "body"), true);
  p.pump();
  CHECK(h.log.take() == "response 200 HTTP/2 length=4\nend\n");
}

TEST_CASE("h2: large bodies pass both ways through tiny windows, only as fast as they are consumed") {
  CodecLimits limits{.stream_window_bytes = 1000, .connection_window_bytes = 5000, .stream_buffer_bytes = 10'000};
  Pair p(limits, limits);
  ClientUser& c = p.request("POST", false);
  std::string sent;
  for (int i = 0; i < 20'000; ++i) sent += static_cast<char>('a' + i % 26);
  c.stream->send_body(chain(p.pool, sent), true);
  CHECK(c.stream->is_congested());
  p.pump();
  CHECK(p.user().log.received == 1000);
  CHECK(c.stream->buffered_bytes() == 19'000);
  size_t drained_at = 0;
  for (size_t seen = 1000; seen < sent.size(); seen = p.user().log.received) {
    p.user().stream->consume(499);  // less than half a window: no update yet
    p.pump();
    CHECK(p.user().log.received == seen);
    p.user().stream->consume(501);
    p.pump(13);
    CHECK(p.user().log.received == seen + 1000);
    if (drained_at == 0 && c.log.drained > 0) drained_at = p.user().log.received;
  }
  CHECK(c.log.drained == 1);
  CHECK(drained_at == 15'000);
  CHECK(p.user().log.ended);
  CHECK(p.user().log.take() == "request POST http|a|/ HTTP/2\nbody " + sent + "\nend\n");

  p.user().stream->send_head(p.answer(p.user()), false);
  p.user().stream->send_body(chain(p.pool, sent), true);
  p.pump();
  while (!c.log.ended) {
    c.stream->consume(1000);
    p.pump();
  }
  CHECK(c.log.received == sent.size());
  CHECK(p.errors.empty());
}

TEST_CASE("h2: what a stream that is left behind did not consume is given back to the connection") {
  CodecLimits limits{.stream_window_bytes = 3000, .connection_window_bytes = 4000};
  Pair p(limits, {});
  for (int i = 0; i < 10; ++i) {
    CAPTURE(i);
    ClientUser& c = p.request("POST", false);
    c.stream->send_body(chain(p.pool, std::string(3000, 'x')), true);
    p.pump();
    REQUIRE(p.user(static_cast<size_t>(i)).log.ended);
    ServerUser& s = p.user(static_cast<size_t>(i));
    if (i % 2 == 0) {
      s.abort(Code::internal);
    } else {
      s.stream->send_head(p.answer(s), true);
      s.detach();
    }
    p.pump();
    c.stream->detach();
  }
  CHECK(p.errors.empty());
}

TEST_CASE("h2: produce keeps to its budget within one frame") {
  CodecLimits wide{.stream_window_bytes = 10'000'000, .connection_window_bytes = 10'000'000};
  Pair p({}, wide);
  ClientUser& c = p.request();
  p.user().stream->send_head(p.answer(p.user()), false);
  p.user().stream->send_body(chain(p.pool, std::string(2'000'000, 'x')), true);
  size_t rounds = 0;
  while (p.server->wants_produce()) {
    Chain out;
    p.server->produce(out, 50'000);
    CHECK(out.size() <= 50'000 + 16'384 + 9);
    CHECK(!out.empty());
    ++rounds;
    CHECK(p.client->feed(out).has_value());
  }
  CHECK(rounds >= 30);
  CHECK(c.log.received == 2'000'000);
}

TEST_CASE("h2: bodies are passed on by reference") {
  Pair p;
  ClientUser& c = p.request("POST", false);
  c.stream->send_body(chain(p.pool, std::string(8000, 'x')), false);
  Chain out;
  const size_t before = p.pool.live();
  p.client->produce(out, 64 * 1024);
  CHECK(p.pool.live() <= before + 1);  // the frame heads; the body stays in its chunk
  CHECK(out.size() == 8009);
}

TEST_CASE("h2: a reset is told to the other side, by its reason") {
  struct Case {
    Code why;
    std::string client_hears;
  };
  for (const Case& c :
       {Case{Code::internal, "reset stream_reset\n"}, Case{Code::refused_stream, "reset refused_stream safe\n"},
        Case{Code::stream_reset, "reset stream_reset\n"}}) {
    Pair p;
    ClientUser& user = p.request("POST", false);
    p.user().abort(c.why);
    p.pump();
    CHECK(user.log.take() == c.client_hears);
    user.stream->send_body(chain(p.pool, "dropped"), true);
    user.stream->detach();
    p.pump();
    CHECK(p.client->active_streams() + p.server->active_streams() == 0);
  }
  Pair p;
  ClientUser& user = p.request("POST", false);
  user.stream->reset(Code::downstream_gone);
  p.pump();
  CHECK(p.user().log.take() == "request POST http|a|/ HTTP/2\nreset stream_reset\n");
  p.user().stream->send_head(p.answer(p.user()), true);
  p.user().detach();
  p.pump();
  CHECK(p.errors.empty());
  CHECK(p.server->active_streams() == 0);
}

TEST_CASE("h2: a stream may be reset while one of its frames waits for the transport") {
  Pair p;
  ClientUser& c = p.request();
  p.user().stream->send_head(p.answer(p.user()), false);
  p.user().stream->send_body(chain(p.pool, std::string(40'000, 'x')), false);
  Chain out;
  p.server->produce(out, 100);  // the second DATA frame is made, but does not fit
  p.user().abort(Code::internal);
  while (p.server->wants_produce()) p.server->produce(out, 64 * 1024);
  CHECK(p.client->feed(out).has_value());
  CHECK(c.log.take().ends_with("reset stream_reset\n"));
  CHECK(p.server->active_streams() == 0);
}

TEST_CASE("h2: a refusal after the response began is not safe to repeat") {
  Pair p;
  ClientUser& user = p.request();
  p.user().stream->send_head(p.answer(p.user()), false);
  p.pump();
  p.user().abort(Code::refused_stream);
  p.pump();
  CHECK(user.log.take() == "response 200 HTTP/2\nreset refused_stream\n");
}

TEST_CASE("h2: leaving before the head of the request went out sends nothing") {
  Pair p;
  p.pump();
  ClientUser& never = p.start();
  never.stream->detach();
  ClientUser& gone = p.start();
  gone.stream->send_head(p.head(gone), true);
  gone.stream->reset(Code::downstream_gone);
  p.pump();
  CHECK(p.users.users.empty());
  CHECK(p.client->active_streams() == 0);
  CHECK(p.client->can_start());
}

TEST_CASE("h2: an early response ends the request without an error") {
  Pair p;
  ClientUser& c = p.request("POST", false);
  c.stream->send_body(chain(p.pool, "part"), false);
  p.pump();
  p.user().stream->send_head(p.answer(p.user(), 413), true);
  p.user().detach();
  p.pump();
  CHECK(c.log.take() == "response 413 HTTP/2 end\nreset stream_reset\n");
  c.stream->detach();
  CHECK(p.request().log.take().empty());  // the connection goes on
  CHECK(p.users.users.size() == 2);
}

TEST_CASE("h2: a server that drains says so twice, finishes what runs and then is finished") {
  Pair p;
  ClientUser& c = p.request();
  p.server->start_drain(false);
  p.pump();
  CHECK(p.client->is_going_away());
  CHECK(!p.client->can_start());
  CHECK(!p.server->is_finished());
  p.server->start_drain(true);
  p.pump();
  CHECK(!p.server->is_finished());
  p.user().stream->send_head(p.answer(p.user()), true);
  p.user().detach();
  p.pump();
  CHECK(c.log.take() == "response 200 HTTP/2 end\n");
  CHECK(p.server->is_finished());
  c.stream->detach();
  p.pump();
  CHECK(p.client->is_finished());
  CHECK(p.errors.empty());
}

TEST_CASE("h2: streams above the last id of a GOAWAY were not processed") {
  ChunkPool pool;
  auto client = make_h2_client(pool, {});
  ClientUser users[3];
  auto feed = [&](const std::string& bytes) {
    Chain in = chain(pool, bytes);
    return client->feed(in).has_value();
  };
  REQUIRE(feed(frame(kSettingsFrame, 0, 0, "")));
  for (ClientUser& user : users) {
    user.stream = &client->start(user);
    RequestHead head(user.arena());
    head.method = "POST";
    head.scheme = "http";
    head.authority = "a";
    head.path = "/";
    user.stream->send_head(head, true);
    if (&user != &users[2]) take_output(*client);  // the third is not out yet
  }
  REQUIRE(feed(frame(kGoawayFrame, 0, 0, u32(1) + u32(0))));
  take_output(*client);
  CHECK(users[0].log.take().empty());
  CHECK(users[1].log.take() == "reset refused_stream safe\n");
  CHECK(users[2].log.take() == "reset refused_stream safe\n");
  client->on_eof();
  CHECK(users[0].log.take() == "reset peer_closed if_reused\n");
  for (ClientUser& user : users) user.stream->detach();
  CHECK(client->is_finished());
  CHECK(client->active_streams() == 0);
}

TEST_CASE("h2: a lost connection tells every stream what may be tried again") {
  Pair p;
  ClientUser& answered = p.request();
  p.user().stream->send_head(p.answer(p.user()), false);
  p.pump();
  ClientUser& waiting = p.request();
  ClientUser& unsent = p.start();
  unsent.stream->send_head(p.head(unsent), true);
  const Error why{.code = Code::peer_reset, .side = Side::upstream};
  p.client->on_connection_lost(why);
  p.server->on_connection_lost({.code = Code::peer_reset, .side = Side::downstream});
  CHECK(answered.log.take() == "response 200 HTTP/2\nreset peer_reset\n");
  CHECK(waiting.log.take() == "reset peer_reset if_reused\n");
  CHECK(unsent.log.take() == "reset peer_reset safe\n");
  CHECK(p.user(0).log.take().ends_with("reset peer_reset\n"));
  CHECK(!p.client->wants_produce());
  for (auto& user : p.clients) user->stream->detach();
  for (auto& user : p.users.users) user->detach();
  CHECK(p.client->is_finished());
  CHECK(p.server->is_finished());
  CHECK(p.client->active_streams() + p.server->active_streams() == 0);
}

TEST_CASE("h2: the peer's limit of streams is kept") {
  Pair p({.concurrent_streams_max = 2}, {});
  CHECK(p.client->streams_max() == 100);
  p.pump();
  CHECK(p.client->streams_max() == 2);
  p.request();
  CHECK(p.client->can_start());
  p.start();
  CHECK(!p.client->can_start());
  p.user().stream->send_head(p.answer(p.user()), true);
  p.user().detach();
  p.pump();
  CHECK(p.client->can_start());  // the first is closed, though its user is still there
}

TEST_CASE("h2: ping and pong") {
  Pair p;
  p.pump();
  p.client->ping();
  CHECK(p.client->awaits_pong());
  p.pump();
  CHECK(!p.client->awaits_pong());
}

TEST_CASE("h2: a head over the limit can be answered with 431") {
  for (const bool by_count : {true, false}) {
    Pair p(by_count ? CodecLimits{.headers_max = 3} : CodecLimits{.head_bytes_max = 500}, {});
    ClientUser& c = p.start();
    RequestHead head = p.head(c);
    for (const char* name : {"a", "b", "c", "d"}) head.headers.add_copy(name, std::string(by_count ? 1 : 200, 'v'));
    c.stream->send_head(head, true);
    p.pump();
    CHECK(p.user().log.take() == "reset head_too_large\n");
    p.user().stream->send_head(p.answer(p.user(), 431), true);
    p.user().detach();
    p.pump();
    CHECK(c.log.take() == "response 431 HTTP/2 end\n");
    CHECK(p.errors.empty());
    c.stream->detach();
    p.request();
    CHECK(p.user(1).log.take() == "request GET http|a|/ HTTP/2 end\n");
  }
}

TEST_CASE("h2: a response head over the limit resets the stream") {
  Pair p({}, {.head_bytes_max = 500});
  ClientUser& c = p.request();
  ResponseHead head = p.answer(p.user());
  head.headers.add_copy("x", std::string(1000, 'v'));
  p.user().stream->send_head(head, false);
  p.pump();
  CHECK(c.log.take() == "reset head_too_large\n");
  CHECK(p.user().log.take().ends_with("reset stream_reset\n"));
}

TEST_CASE("h2: extended CONNECT looks like an upgrade of HTTP/1 on both sides") {
  Pair p;
  ClientUser& c = p.start();
  RequestHead head = p.head(c, "GET", "/chat");
  head.upgrade = "websocket";
  c.stream->send_head(head, false);
  c.stream->send_body(chain(p.pool, "early"), false);
  CHECK(p.client->wants_produce());
  p.pump();  // waits for the SETTINGS of the server first
  REQUIRE(p.users.users.size() == 1);
  CHECK(p.user().log.take() == "request GET http|a|/chat HTTP/2 upgrade=websocket\n");
  ResponseHead agreed = p.answer(p.user(), 101);
  agreed.upgrade = "websocket";
  p.user().stream->send_head(agreed, false);
  p.user().stream->send_body(chain(p.pool, "frames"), false);
  p.pump();
  CHECK(c.log.take() == "response 101 HTTP/2 upgrade=websocket\nbody frames\n");
  CHECK(p.user().log.take().ends_with("\nbody early\n"));
  c.stream->send_body({}, true);
  p.user().stream->send_body({}, true);
  p.pump();
  CHECK(c.log.ended);
  CHECK(p.user().log.ended);
  c.stream->detach();
  p.user().detach();
  p.pump();
  CHECK(p.client->active_streams() + p.server->active_streams() == 0);
}

TEST_CASE("h2: an upgrade that is refused leaves a request without a body, and a bare 200 is no agreement") {
  Pair p;
  ClientUser& c = p.start();
  RequestHead head = p.head(c);
  head.upgrade = "websocket";
  c.stream->send_head(head, false);
  c.stream->send_body(chain(p.pool, "early"), false);
  p.pump();
  p.user().stream->send_head(p.answer(p.user(), 200), false);
  CHECK(p.server->wants_produce());
  p.pump();
  CHECK(p.user().log.reset->code == Code::bad_message);
  p.user().detach();
  p.pump();
  CHECK(c.log.take() == "reset stream_reset\n");

  ClientUser& second = p.start();
  RequestHead again = p.head(second);
  again.upgrade = "websocket";
  second.stream->send_head(again, false);
  second.stream->send_body(chain(p.pool, "early"), false);
  p.pump();
  p.user(1).stream->send_head(p.answer(p.user(1), 403), true);
  p.pump();
  CHECK(second.log.take() == "response 403 HTTP/2 end\n");
  CHECK(p.user(1).log.take().ends_with("upgrade=websocket\nend\n"));
}

TEST_CASE("h2: extended CONNECT is not tried where it is not offered") {
  ChunkPool pool;
  auto client = make_h2_client(pool, {});
  ClientUser user;
  user.stream = &client->start(user);
  RequestHead head(user.arena());
  head.method = "GET";
  head.authority = "a";
  head.path = "/";
  head.upgrade = "websocket";
  user.stream->send_head(head, false);
  take_output(*client);
  CHECK(user.log.take().empty());
  Chain in = chain(pool, frame(kSettingsFrame, 0, 0, ""));
  CHECK(client->feed(in).has_value());
  take_output(*client);
  CHECK(user.log.take() == "reset upgrade_refused\n");
}

TEST_CASE("h2: CONNECT carries bytes once it is agreed to") {
  Pair p;
  ClientUser& c = p.start();
  RequestHead head(c.arena());
  head.method = "CONNECT";
  head.authority = "b:443";
  c.stream->send_head(head, false);
  c.stream->send_body(chain(p.pool, "early"), false);
  p.pump();
  CHECK(p.user().log.take() == "request CONNECT |b:443| HTTP/2\n");
  p.user().stream->send_head(p.answer(p.user()), false);
  p.pump();
  CHECK(p.user().log.take().ends_with("body early\n"));
  CHECK(c.log.take() == "response 200 HTTP/2\n");
}

TEST_CASE("h2: what is not fit for the wire is not written") {
  Pair p;
  p.pump();
  for (const char* path : {"", "x", "/a b", "/\r\n", "/#"}) {
    CAPTURE(path);
    ClientUser& c = p.start();
    c.stream->send_head(p.head(c, "GET", path), true);
    p.pump();
    CHECK(c.log.take() == "reset bad_message\n");
    CHECK(c.log.reset->side == Side::local);
    c.stream->detach();
  }
  CHECK(p.users.users.empty());
  CHECK(p.client->active_streams() == 0);
  p.request();
  ResponseHead bad = p.answer(p.user());
  bad.headers.add("x", "a\r\nb");
  p.user().stream->send_head(bad, true);
  p.pump();
  CHECK(p.user().log.take().ends_with("reset bad_message\n"));
}

TEST_CASE("h2: a body that is not as long as its Content-Length is reset, both ways") {
  for (const char* body : {"toolong", "sh"}) {
    CAPTURE(body);
    Pair p;
    ClientUser& c = p.start();
    RequestHead head = p.head(c, "POST");
    head.content_length = 4;
    c.stream->send_head(head, false);
    c.stream->send_body(chain(p.pool, body), true);
    p.pump();
    CHECK(c.log.take() == "reset body_length_mismatch\n");
    c.stream->detach();
    p.pump();
    CHECK(p.user().log.take().ends_with("reset stream_reset\n"));

    ClientUser& d = p.request();
    ResponseHead response = p.answer(p.user(1));
    response.content_length = 4;
    p.user(1).stream->send_head(response, false);
    p.user(1).stream->send_body(chain(p.pool, body), true);
    p.pump();
    CHECK(p.user(1).log.take().ends_with("reset body_length_mismatch\n"));
    p.user(1).detach();
    p.pump();
    CHECK(d.log.take().ends_with("reset stream_reset\n"));
  }
}

TEST_CASE("h2: a head that is too large to be sent resets its stream only") {
  Pair p;
  ClientUser& c = p.request();
  ResponseHead head = p.answer(p.user());
  head.headers.add_copy("x", std::string(400'000, 'v'));
  p.user().stream->send_head(head, false);
  p.pump();
  CHECK(p.user().log.take().ends_with("reset internal\n"));
  p.user().detach();
  p.pump();
  CHECK(c.log.take() == "reset stream_reset\n");
  ClientUser& big = p.start();
  RequestHead request = p.head(big);
  request.headers.add_copy("x", std::string(400'000, 'v'));
  big.stream->send_head(request, true);
  p.pump();
  CHECK(big.log.take() == "reset refused_stream safe\n");
  p.request();
  CHECK(p.errors.empty());
}

TEST_CASE("h2: an endpoint may not go on with informational responses for ever") {
  Pair p;
  ClientUser& c = p.request();
  for (uint32_t i = 0; i < H2Session::kInformationalMax; ++i) {
    ResponseHead early = p.answer(p.user(), 103);
    p.user().stream->send_informational(early);
  }
  p.pump();
  CHECK(c.log.take().find("reset") == std::string::npos);
  ResponseHead early = p.answer(p.user(), 103);
  p.user().stream->send_informational(early);
  p.pump();
  CHECK(c.log.take().find("reset bad_message") != std::string::npos);
}
