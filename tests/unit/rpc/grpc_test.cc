// The gRPC server and client against each other, and the server against a Python client.
#include "proxy/rpc/grpc.h"

#include <filesystem>

#include <doctest/doctest.h>

#include "proxy/net/tcp_dialer.h"
#include "proxy/rpc/direct_channel.h"
#include "proxy/rpc/http_server.h"
#include "tests/unit/rpc/outside.h"

using namespace pillion;
using namespace pillion::rpc;
using namespace pillion::rpc::test;

namespace {

// /t.T/Echo answers each message, and the end with OK. /t.T/Fail refuses at once. /t.T/Flood sends what it is told to,
// without an end. /t.T/Meta tells the metadata x-one.
struct Service final : GrpcService {
  struct Call final : GrpcHandler {
    Call(Service& s, std::string_view path, GrpcResponder& r) : service(s), path(path), responder(r) { ++s.running; }
    ~Call() override { --service.running; }
    void on_message(std::string_view message) override {
      if (path == "/t.T/Flood") {
        for (int i = std::stoi(std::string(message)); i > 0; --i) responder.send(std::string(1 << 20, 'f'));
        service.queued = responder.queued_bytes();
      } else {
        responder.send("re:" + std::string(message));
      }
    }
    void on_finished() override { responder.finish({0, ""}); }
    void on_cancelled() override { ++service.cancelled; }
    Service& service;
    std::string path;
    GrpcResponder& responder;
  };
  std::unique_ptr<GrpcHandler> start(std::string_view path, const Metadata& metadata,
                                     GrpcResponder& responder) override {
    peer = responder.peer().address.ip();
    for (const auto& [name, value] : metadata) {
      if (name == "x-one") one = value;
    }
    if (path == "/t.T/None") return nullptr;
    auto call = std::make_unique<Call>(*this, path, responder);
    if (path == "/t.T/Fail") responder.finish({7, "no, 100 % no\n"});
    return call;
  }
  int running = 0;
  int cancelled = 0;
  size_t queued = 0;
  std::string one;
  std::string peer;
};

struct Names final : net::Resolver {
  struct Answer final : net::Resolution, event::Steppable {
    void step() override {
      if (found.empty()) return events->on_resolve_failed({.code = Code::connect_failed, .what = "no answer"});
      events->on_resolved({.addresses = found});
    }
    std::vector<Address> found;
    net::ResolveEvents* events = nullptr;
  };
  explicit Names(event::Loop& loop) : loop(loop) {}
  std::unique_ptr<net::Resolution> resolve(const std::string& name, net::DnsFamily,
                                           net::ResolveEvents& events) override {
    auto answer = std::make_unique<Answer>();
    answer->events = &events;
    // The first address refuses: the second is tried.
    if (name == "control.test")
      answer->found = {*Address::parse_ip("127.0.0.9", 0), *Address::parse_ip("127.0.0.1", 0)};
    loop.executor().ready(*answer);
    return answer;
  }
  event::Loop& loop;
};

struct Events final : GrpcCallEvents {
  void on_message(std::string_view message) override {
    messages.emplace_back(message.substr(0, 100));
    bytes += message.size();
    if (drop_at_message) call.reset();
  }
  void on_status(const GrpcStatus& s) override {
    CHECK(!status.has_value());
    status = s;
    call.reset();  // the usual thing to do
    if (channel != nullptr) channel->reset();
  }
  std::unique_ptr<GrpcCall> call;
  std::vector<std::string> messages;
  size_t bytes = 0;
  std::optional<GrpcStatus> status;
  std::unique_ptr<Channel>* channel = nullptr;
  bool drop_at_message = false;
};

struct Mesh : World {
  explicit Mesh(HttpServerOptions options = {}) : dialer(loop), names(loop), options(options) {
    this->options.listen.address = *Address::parse_ip("127.0.0.1", 0);
    this->options.grpc = &service;
    serve();
    channel = make_direct_channel(loop.executor(), dialer, names, {.target = server->address().to_string()});
  }
  ~Mesh() {
    channel.reset();
    server.reset();
  }
  void serve() {
    auto made = make_http_server(loop, options);
    REQUIRE(made.has_value());
    server = std::move(*made);
    options.listen.address = server->address();
  }
  void ask(Events& events, std::string_view path, std::initializer_list<std::string_view> messages = {"hello"},
           const Metadata& metadata = {}) {
    events.call = channel->call(path, metadata, events);
    for (const std::string_view m : messages) events.call->send(m);
  }
  Service service;
  net::TcpDialer dialer;
  Names names;
  HttpServerOptions options;
  std::unique_ptr<HttpServer> server;
  std::unique_ptr<Channel> channel;
};

}  // namespace

TEST_CASE("grpc: messages go both ways, then the status") {
  Mesh m;
  Events events;
  m.ask(events, "/t.T/Echo", {"one", ""}, {{"x-one", "1"}});
  REQUIRE(m.run_until([&] { return events.messages.size() == 2; }));
  events.call->send(std::string(1 << 20, 'x'));
  REQUIRE(m.run_until([&] { return events.messages.size() == 3; }));
  CHECK(!events.status.has_value());
  events.call->finish();
  REQUIRE(m.run_until([&] { return events.status.has_value(); }));
  CHECK(events.status->code == 0);
  CHECK(events.messages[0] == "re:one");
  CHECK(events.messages[1] == "re:");
  CHECK(events.bytes == 6 + 3 + 3 + (1 << 20));
  CHECK(m.service.one == "1");
  CHECK(m.service.peer == "127.0.0.1");
  CHECK(m.run_until([&] { return m.service.running == 0; }));
  CHECK(m.service.cancelled == 0);
}

TEST_CASE("grpc: how calls fail") {
  struct Case {
    const char* path;
    int code;
    const char* message;
  };
  const Case cases[] = {
      {"/t.T/Fail", 7, "no, 100 % no\n"},
      {"/t.T/None", 12, "there is no method /t.T/None"},
  };
  Mesh m;
  for (const Case& c : cases) {
    CAPTURE(c.path);
    Events events;
    m.ask(events, c.path);
    REQUIRE(m.run_until([&] { return events.status.has_value(); }));
    CHECK(events.status->code == c.code);
    CHECK(events.status->message == c.message);
  }
}

TEST_CASE("grpc: a message above the server's limit ends the call") {
  Mesh m({.grpc_message_bytes_max = 1000});
  Events events;
  m.ask(events, "/t.T/Echo", {std::string(1001, 'x')});
  REQUIRE(m.run_until([&] { return events.status.has_value(); }));
  CHECK(events.status->code == 8);
  CHECK(m.run_until([&] { return m.service.running == 0; }));
  CHECK(m.service.cancelled == 1);
}

TEST_CASE("grpc: dropping a call, also inside its event, cancels it at the server") {
  for (const bool inside : {false, true}) {
    CAPTURE(inside);
    Mesh m;
    Events events;
    events.drop_at_message = inside;
    m.ask(events, "/t.T/Echo", {"a", "b"});
    REQUIRE(m.run_until([&] { return !events.messages.empty(); }));
    events.call.reset();
    CHECK(m.run_until([&] { return m.service.cancelled == 1 && m.service.running == 0; }));
    CHECK(!events.status.has_value());
    if (inside) CHECK(events.messages.size() == 1);
  }
}

TEST_CASE("grpc: a lost server is UNAVAILABLE, and the next call connects again") {
  Mesh m;
  Events first;
  m.ask(first, "/t.T/Echo");
  REQUIRE(m.run_until([&] { return !first.messages.empty(); }));
  m.server.reset();
  REQUIRE(m.run_until([&] { return first.status.has_value(); }));
  CHECK(first.status->code == 14);
  Events refused;
  m.ask(refused, "/t.T/Echo");
  REQUIRE(m.run_until([&] { return refused.status.has_value(); }));
  CHECK(refused.status->code == 14);
  CHECK(refused.status->message.find("ECONNREFUSED") != std::string::npos);
  m.serve();
  Events again;
  m.ask(again, "/t.T/Echo");
  CHECK(m.run_until([&] { return !again.messages.empty(); }));
}

TEST_CASE("grpc: a channel may be dropped from inside an event, and before its calls") {
  Mesh m;
  Events events;
  events.channel = &m.channel;
  Events other;
  m.ask(other, "/t.T/Echo");
  REQUIRE(m.run_until([&] { return !other.messages.empty(); }));
  m.ask(events, "/t.T/Fail");
  REQUIRE(m.run_until([&] { return events.status.has_value(); }));
  CHECK(m.channel == nullptr);
  other.call->send("into the void");
  CHECK(m.run_until([&] { return m.service.cancelled == 1; }));
  CHECK(!other.status.has_value());
}

TEST_CASE("grpc: names are resolved, and each of their addresses is tried") {
  Mesh m;
  const std::string port = std::to_string(m.server->address().port());
  struct Case {
    const char* name;
    std::string target;
    bool works;
  };
  const Case cases[] = {{"a name", "control.test:" + port, true},
                        {"a name without an answer", "gone.test:" + port, false},
                        {"no target", "nonsense", false}};
  for (const Case& c : cases) {
    CAPTURE(c.name);
    m.channel = make_direct_channel(m.loop.executor(), m.dialer, m.names, {.target = c.target});
    Events events;
    m.ask(events, "/t.T/Echo");
    events.call->finish();
    REQUIRE(m.run_until([&] { return events.status.has_value(); }));
    CHECK(events.status->code == (c.works ? 0 : 14));
    CHECK(events.messages.size() == (c.works ? 1 : 0));
  }
}

TEST_CASE("grpc: a client that does not read shows in queued_bytes, and a cancelled flood is let go") {
  Mesh m;
  Program client({"python3", "-c", R"(
import signal, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def frame(t, f, i, p): return len(p).to_bytes(3, "big") + bytes([t, f]) + i.to_bytes(4, "big") + p
def field(n, v): return b"\0" + bytes([len(n)]) + n + bytes([len(v)]) + v
head = b"\x83\x86" + field(b":path", b"/t.T/Flood") + field(b":authority", b"a") + field(b"content-type", b"application/grpc") + field(b"te", b"trailers")
s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, head) + frame(0, 0, 1, b"\0\0\0\0\1" + b"8"))
signal.pause()
)",
                  std::to_string(m.server->address().port())});
  REQUIRE(m.run_until([&] { return m.service.queued > 0; }));
  CHECK(m.service.queued >= (8 << 20));
  CHECK(m.service.running == 1);
  client.stop();
  CHECK(m.run_until([&] { return m.service.running == 0; }));
  CHECK(m.service.cancelled == 1);
}

TEST_CASE("grpc: the Python client is understood") {
  const char* home = getenv("HOME");
  const char* cache = getenv("XDG_CACHE_HOME");
  const std::string path =
      (cache != nullptr ? std::string(cache) : std::string(home != nullptr ? home : "") + "/.cache") +
      "/pillion/python";
  if (!std::filesystem::exists(path + "/grpc")) {
    FAIL("needs the gRPC package of Python, see `make deps-test`");
  }
  setenv("PYTHONPATH", path.c_str(), 1);
  Mesh m;
  Program client({"python3", "-c", R"(
import grpc, sys
same = lambda b: b
with grpc.insecure_channel("127.0.0.1:" + sys.argv[1]) as channel:
    echo = channel.stream_stream("/t.T/Echo", same, same)
    for round in range(3):
        got = list(echo(iter([b"a", b"", b"c" * 300000]), timeout=20))
        assert got == [b"re:a", b"re:", b"re:" + b"c" * 300000], [len(g) for g in got]
    assert channel.unary_unary("/t.T/Echo", same, same)(b"x", metadata=[("x-one", "py")], timeout=20) == b"re:x"
    for path, code, text in (("Fail", grpc.StatusCode.PERMISSION_DENIED, "no, 100 % no\n"),
                             ("None", grpc.StatusCode.UNIMPLEMENTED, "there is no method /t.T/None")):
        try:
            channel.unary_unary("/t.T/" + path, same, same)(b"x", timeout=20)
            raise AssertionError(path)
        except grpc.RpcError as e:
            assert e.code() == code and e.details() == text, (e.code(), e.details())
    flood = channel.stream_stream("/t.T/Flood", same, same)(iter([b"20"]), timeout=20)
    assert sum(len(next(flood)) for _ in range(20)) == 20 << 20
    flood.cancel()
    print("well")
)",
                  std::to_string(m.server->address().port())});
  REQUIRE(m.run_until([&] { return client.has_ended(); }));
  CHECK(client.output() == "well\n");
  CHECK(m.service.one == "py");
  CHECK(m.run_until([&] { return m.service.running == 0; }));
}
