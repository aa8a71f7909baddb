#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "perf/micro/part.h"
#include "proxy/base/check.h"
#include "proxy/http/codec.h"

namespace pillion::micro {
namespace {

using namespace pillion::http;

constexpr std::pair<std::string_view, std::string_view> kFields[] = {
    {"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"},
    {"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
    {"accept-language", "en-US,en;q=0.5"},
    {"accept-encoding", "gzip, deflate, br, zstd"},
    {"referer", "https://shop.example/catalogue?page=3&sort=price"},
    {"cookie", "session=5f2c9a7b1d3e4f60718293a4b5c6d7e8; theme=dark; basket=17-3,22-1,90-2"},
    {"cache-control", "no-cache"},
    {"x-forwarded-for", "10.1.2.3"},
    {"x-forwarded-proto", "http"},
    {"x-request-id", "0b4f8d5e-8a5e-4a3e-9d7e-1f2e3d4c5b6a"},
};
constexpr std::string_view kBody =
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
constexpr size_t kBudget = 64 * 1024;

// Either side of one request. It only notes what it is told: verbs are called between two feeds.
struct ServerSide final : ServerStreamEvents {
  Arena& arena() override { return arena_; }
  void on_request_head(RequestHead&& head, bool end) override {
    fields = head.headers.size();
    is_asked = end;
  }
  void on_body(Chain&&, bool) override {}
  void on_trailers(HeaderMap&&) override {}
  void on_reset(const Error& why) override { PILLION_CHECK(why.code == Code::ok); }
  void on_drained() override {}

  ServerStream* stream = nullptr;
  size_t fields = 0;
  bool is_asked = false;
  Arena arena_;
};

struct ClientSide final : ClientStreamEvents {
  Arena& arena() override { return arena_; }
  void on_informational(ResponseHead&&) override {}
  void on_response_head(ResponseHead&& head, bool end) override {
    status = head.status;
    is_over = end;
  }
  void on_body(Chain&& data, bool end) override {
    bytes += data.size();
    is_over = end;
  }
  void on_trailers(HeaderMap&&) override {}
  void on_reset(const Error& why) override { PILLION_CHECK(why.code == Code::ok); }
  void on_drained() override {}

  uint16_t status = 0;
  size_t bytes = 0;
  bool is_over = false;
  Arena arena_;
};

// A client and a server codec whose bytes go straight to each other.
class Pair final : ServerCodecEvents {
 public:
  explicit Pair(bool http2)
      : client_(http2 ? make_h2_client(pool_, {}) : make_h1_client(pool_, {})),
        server_(http2 ? make_h2_server(pool_, *this, {}) : make_h1_server(pool_, *this, {})) {
    carry();  // SETTINGS
  }

  void exchange() {
    client_side_.emplace();
    server_side_.emplace();
    ClientStream& asked = client_->start(*client_side_);
    RequestHead head(client_side_->arena());
    head.method = "GET";
    head.scheme = "http";
    head.authority = "web.shop";
    head.path = "/catalogue/items?page=3";
    for (const auto& [name, value] : kFields) head.headers.add(name, value);
    asked.send_head(head, true);
    carry();
    PILLION_CHECK(server_side_->is_asked);
    ResponseHead answer(server_side_->arena());
    answer.status = 200;
    answer.content_length = kBody.size();
    answer.headers.add("content-type", "text/plain");
    answer.headers.add("server", "nginx");
    answer.headers.add("date", "Fri, 27 Nov 2026 12:00:00 GMT");
    server_side_->stream->send_head(answer, false);
    Chain body;
    body.append(pool_, kBody);
    server_side_->stream->send_body(std::move(body), true);
    server_side_->stream->detach();
    carry();
    PILLION_CHECK(client_side_->is_over && client_side_->status == 200 && client_side_->bytes == kBody.size());
    asked.consume(kBody.size());
    asked.detach();
  }

 private:
  ServerStreamEvents& on_stream_begin(ServerStream& stream) override {
    server_side_->stream = &stream;
    return *server_side_;
  }

  void carry() {
    while (client_->wants_produce() || server_->wants_produce()) {
      client_->produce(to_server_, kBudget);
      if (!to_server_.empty()) PILLION_CHECK(server_->feed(to_server_).has_value());
      server_->produce(to_client_, kBudget);
      if (!to_client_.empty()) PILLION_CHECK(client_->feed(to_client_).has_value());
    }
  }

  ChunkPool pool_;
  Chain to_server_, to_client_;
  std::optional<ClientSide> client_side_;
  std::optional<ServerSide> server_side_;
  std::unique_ptr<ClientCodec> client_;
  std::unique_ptr<ServerCodec> server_;
};

void header_map(size_t times) {
  for (size_t n = 0; n < times; ++n) {
    Arena arena;
    HeaderMap map(arena);
    for (const auto& [name, value] : kFields) map.add(name, value);
    keep(map.get(HeaderId::cookie).size() + map.get(HeaderId::expect).size() + map.get(HeaderId::traceparent).size());
    keep(map.find("cache-control"));
    keep(map.find("x-not-there"));
    map.set(HeaderId::x_forwarded_proto, "https");
    map.set(HeaderId::x_envoy_internal, "true");
    map.remove(HeaderId::x_request_id);
    keep(map.bytes());
  }
}

}  // namespace

void add_header_map(Parts& parts) {
  parts.push_back(make_part("header map", header_map));
}

void add_codecs(Parts& parts) {
  for (const bool http2 : {false, true}) {
    const auto pair = std::make_shared<Pair>(http2);
    parts.push_back(make_part(http2 ? "HTTP/2 codec" : "HTTP/1 codec", [pair](size_t times) {
      for (size_t n = 0; n < times; ++n) pair->exchange();
    }));
  }
}

}  // namespace pillion::micro
