// Both ends of a protocol wired together, and one protocol carried on to the other.
#include <doctest/doctest.h>

#include "proxy/http/detect.h"
#include "tests/unit/http/pair_script.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

std::vector<uint8_t> random_script(Random& random, size_t steps, bool hostile) {
  std::vector<uint8_t> out;
  for (size_t i = 0; i < steps; ++i) {
    uint8_t what = static_cast<uint8_t>(random.below(18));
    uint8_t arg = static_cast<uint8_t>(random.next());
    if (!hostile && (what == 15 || what == 16)) what = 17;
    out.push_back(what);
    out.push_back(arg);
  }
  return out;
}

// What one side said, given to the other: a proxy without a proxy.
void relay(ServerUser& from, ClientUser& to, Codec& client) {
  if (!from.request || to.stream != nullptr) return;
  to.stream = &static_cast<ClientCodec&>(client).start(to);
  to.stream->send_head(*from.request, from.log.ended && from.body.empty() && !from.trailers);
  if (!from.body.empty()) to.stream->send_body(std::move(from.body), from.log.ended && !from.trailers);
  if (from.trailers) to.stream->send_trailers(*from.trailers);
}

}  // namespace

TEST_CASE("pair: random work on HTTP/1 and HTTP/2 loses, invents and leaks nothing") {
  for (const auto& [kind, carries_http1] :
       {std::pair{PairKind::h1, false}, {PairKind::h2, false}, {PairKind::h2, true}}) {
    CodecLimits limits = small_limits();
    limits.carries_http1 = carries_http1;
    for (const bool hostile : {false, true}) {
      size_t completed = 0;
      for (uint64_t seed = 1; seed <= 150; ++seed) {
        CAPTURE(seed);
        Random random(seed);
        const std::vector<uint8_t> script = random_script(random, 400, hostile);
        PairScript pair(kind, limits, !hostile);
        pair.run(script);
        completed += pair.finish();
      }
      MESSAGE("requests received whole: ", completed);
      CHECK(completed > 50);
    }
  }
}

namespace {

// Both ends of one connection, with the bytes carried over until there are none.
struct Wire {
  explicit Wire(const CodecLimits& limits)
      : server(make_h2_server(pool, users, limits)), client(make_h2_client(pool, limits)) {
    carry();
  }
  void carry() {
    for (bool moved = true; moved;) {
      moved = false;
      for (const auto& [from, to] :
           {std::pair<Codec*, Codec*>{client.get(), server.get()}, {server.get(), client.get()}}) {
        Chain bytes;
        from->produce(bytes, 1 << 20);
        if (bytes.empty()) continue;
        moved = true;
        failed = !to->feed(bytes).has_value() || failed;
      }
    }
  }
  ClientUser& get() {
    ClientUser& user = *gets.emplace_back(std::make_unique<ClientUser>());
    user.stream = &client->start(user);
    RequestHead head(arena);
    head.method = "GET";
    head.scheme = "http";
    head.authority = "a";
    head.path = "/";
    user.stream->send_head(head, true);
    carry();
    return user;
  }
  void answer(size_t request, size_t bytes, bool end) {
    ServerStream& stream = *users.users[request]->stream;
    ResponseHead head(arena);
    head.status = 200;
    stream.send_head(head, false);
    stream.send_body(chain(pool, std::string(bytes, 'x')), end);
    carry();
  }
  ~Wire() {
    for (auto& user : gets) {
      if (user->stream != nullptr) std::exchange(user->stream, nullptr)->detach();
    }
    for (auto& user : users.users) {
      if (user->stream != nullptr) user->detach();
    }
  }

  ChunkPool pool;
  Arena arena;
  ServerUsers users;
  std::unique_ptr<ServerCodec> server;
  std::unique_ptr<ClientCodec> client;
  std::vector<std::unique_ptr<ClientUser>> gets;
  bool failed = false;
};

}  // namespace

TEST_CASE("pair: readers that stop do not stop the others on their connection") {
  CodecLimits limits;
  limits.carries_http1 = true;
  Wire wire(limits);
  for (int i = 0; i < 9; ++i) wire.get();
  for (size_t i = 0; i < 8; ++i) wire.answer(i, 400 * 1024, false);  // nobody consumes it
  wire.answer(8, 10, true);
  CHECK(wire.gets[8]->log.ended);
  CHECK_FALSE(wire.failed);
}

TEST_CASE("pair: clients who leave one after the other do not end the connection that carries all of them") {
  CodecLimits limits;
  limits.carries_http1 = true;
  limits.resets_per_minute_max = 4 * limits.concurrent_streams_max;  // as downstream sets it
  Wire wire(limits);
  ClientUser& stays = wire.get();
  for (int i = 0; i < 400; ++i) {
    std::exchange(wire.get().stream, nullptr)->reset(Code::downstream_gone);
    wire.carry();
  }
  CHECK_FALSE(wire.failed);
  wire.answer(0, 10, true);
  CHECK(stays.log.ended);
}

TEST_CASE("pair: a request of HTTP/2 becomes one of HTTP/1 and nothing of it can end a line") {
  ChunkPool pool;
  ServerUsers users;
  auto h2_client = make_h2_client(pool, {});
  auto h2_server = make_h2_server(pool, users, {});
  ClientUser origin;
  origin.stream = &h2_client->start(origin);
  RequestHead head(origin.arena());
  head.method = "POST";
  head.scheme = "http";
  head.authority = "a.example";
  head.path = "/x";
  head.te_trailers = true;
  head.headers.add("cookie", "a=b");
  head.headers.add("cookie", "c=d");
  head.headers.add("X-Case", "y");
  origin.stream->send_head(head, false);
  origin.stream->send_body(chain(pool, "hello"), false);
  HeaderMap trailers(origin.arena());
  trailers.add("x-t", "1");
  origin.stream->send_trailers(trailers);
  Chain wire;
  h2_client->produce(wire, 64 * 1024);
  REQUIRE(h2_server->feed(wire).has_value());
  ServerUser& user = *users.users.at(0);
  user.keep_bodies = true;

  auto h1_client = make_h1_client(pool, {});
  ClientUser onward;
  Chain body = chain(pool, "hello");
  user.body = std::move(body);
  relay(user, onward, *h1_client);
  CHECK(take_output(*h1_client) ==
        "POST /x HTTP/1.1\r\nHost: a.example\r\ncookie: a=b; c=d\r\nx-case: y\r\nConnection: TE\r\nTE: "
        "trailers\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-t: 1\r\n\r\n");
}

TEST_CASE("pair: a response of HTTP/1 becomes one of HTTP/2") {
  ChunkPool pool;
  auto h1_client = make_h1_client(pool, {});
  ClientUser upstream;
  upstream.stream = &h1_client->start(upstream);
  RequestHead get(upstream.arena());
  get.method = "GET";
  get.authority = "a";
  get.path = "/";
  upstream.stream->send_head(get, true);
  take_output(*h1_client);
  Chain answer = chain(pool,
                       "HTTP/1.1 200 Fine\r\nX-Case: y\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n"
                       "Content-Length: 2\r\n\r\nok");
  REQUIRE(h1_client->feed(answer).has_value());

  ServerUsers users;
  auto h2_server = make_h2_server(pool, users, {});
  auto h2_client = make_h2_client(pool, {});
  ClientUser asker;
  asker.stream = &h2_client->start(asker);
  RequestHead ask(asker.arena());
  ask.method = "GET";
  ask.scheme = "http";
  ask.authority = "a";
  ask.path = "/";
  asker.stream->send_head(ask, true);
  Chain wire;
  h2_client->produce(wire, 64 * 1024);
  REQUIRE(h2_server->feed(wire).has_value());
  ServerUser& user = *users.users.at(0);
  user.stream->send_head(*upstream.response, false);
  user.stream->send_body(chain(pool, "ok"), true);
  Chain back;
  h2_server->produce(back, 64 * 1024);
  REQUIRE(h2_client->feed(back).has_value());
  CHECK(asker.log.take() == "response 200 HTTP/2 length=2 [x-case: y]\nbody ok\nend\n");
}
