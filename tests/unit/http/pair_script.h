// Random work for a client codec and a server codec with a wire between them: a script of bytes says what the users do,
// how much the wire carries and where it breaks. After every step what arrived must be the beginning of what was sent,
// and at the end nothing may be left over. For the unit tests and the fuzzer.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/http/codec.h"
#include "tests/unit/http/codec_harness.h"

namespace pillion::http::test {

enum class PairKind : uint8_t { h1, h2 };

class PairScript {
 public:
  // `polite`: the users do nothing wrong and leave only what is complete.
  PairScript(PairKind kind, const CodecLimits& limits, bool polite) : kind_(kind), limits_(limits), polite_(polite) {
    connect();
  }

  ~PairScript() { finish(); }

  void run(std::span<const uint8_t> script) {
    for (size_t i = 0; i + 1 < script.size(); i += 2) {
      step(script[i] % kSteps, script[i + 1]);
      check();
    }
  }

  // Ends everything in good order and checks that nothing is left. Requests that were received whole count.
  size_t finish() {
    disconnect();
    return completed_;
  }

 private:
  static constexpr uint8_t kSteps = 18;
  static constexpr size_t kStreamsMax = 24;

  // A request from its client's side, and what its two sides said so far.
  struct Call {
    ClientUser user;
    std::string request;   // body bytes that the client sent
    std::string response;  // that the server sent
    bool client_ended = false;
    bool server_ended = false;
    bool left_by_client = false;
  };

  static std::string bytes(size_t n, size_t seed) {
    std::string out(n, '\0');
    for (size_t i = 0; i < n; ++i) out[i] = static_cast<char>('a' + (i * 7 + seed) % 26);
    return out;
  }
  static size_t size_of(uint8_t arg) { return arg < 64 ? arg : size_t{arg} * arg; }

  void step(uint8_t what, uint8_t arg) {
    switch (what) {
      case 0:
      case 1: return start(arg);
      case 2:
      case 3: return client_body(arg);
      case 4: return client_trailers(arg);
      case 5: return client_leave(arg);
      case 6:
      case 7: return server_head(arg);
      case 8:
      case 9: return server_body(arg);
      case 10: return server_trailers(arg);
      case 11: return server_leave(arg);
      case 12: return carry(*client_, *server_, to_server_, arg);
      case 13: return carry(*server_, *client_, to_client_, arg);
      case 14: return consume(arg);
      case 15: return control(arg);
      case 16: mutate_ = arg >= 200 ? std::optional<uint8_t>(arg) : mutate_; return;
      default: return settle();
    }
  }

  void start(uint8_t arg) {
    if (polite_) arg &= 0x47;
    const bool full = calls_.size() >= kStreamsMax;
    if (full || client_->is_finished() || client_->is_going_away()) reconnect();
    if (!client_->can_start()) return;
    calls_.push_back(std::make_unique<Call>());
    Call& call = *calls_.back();
    call.user.stream = &client_->start(call.user);
    RequestHead head(call.user.arena());
    const char* const methods[] = {"GET", "POST", "HEAD", "PUT"};
    head.method = methods[arg & 3];
    head.scheme = "http";
    head.authority = "a";
    head.path = call.user.arena().copy("/" + std::to_string(calls_.size() - 1));
    head.te_trailers = (arg & 4) != 0;
    if ((arg & 8) != 0) head.headers.add_copy("X-Big", bytes(size_of(arg), arg));
    if ((arg & 16) != 0) head.upgrade = "websocket";
    if ((arg & 32) != 0) head.content_length = arg;
    if ((arg & 192) == 192) head.headers.add("bad name", "x");
    const bool end = (arg & 64) != 0 && head.upgrade.empty();
    call.client_ended = end;
    call.user.stream->send_head(head, end);
  }

  Call* call(uint8_t arg) {
    if (calls_.empty()) return nullptr;
    Call* c = calls_[arg % calls_.size()].get();
    return c->left_by_client ? nullptr : c;
  }
  ServerUser* server(uint8_t arg) {
    if (users_.users.empty()) return nullptr;
    ServerUser* u = users_.users[arg % users_.users.size()].get();
    return u->stream == nullptr ? nullptr : u;
  }
  Call* call_of(const ServerUser& user) {
    if (!user.request || user.request->path.size() < 2) return nullptr;
    const size_t n = static_cast<size_t>(std::atoi(std::string(user.request->path.substr(1)).c_str()));
    return n < calls_.size() ? calls_[n].get() : nullptr;
  }

  void client_body(uint8_t arg) {
    Call* c = call(arg);
    if (c == nullptr || c->client_ended) return;
    const std::string data = bytes(size_of(arg), c->request.size());
    c->request += data;
    c->client_ended = (arg & 1) != 0;
    c->user.stream->send_body(chain(pool_, data), c->client_ended);
  }
  void client_trailers(uint8_t arg) {
    Call* c = call(arg);
    if (c == nullptr || c->client_ended) return;
    HeaderMap trailers(c->user.arena());
    trailers.add("x-t", "1");
    c->client_ended = true;
    c->user.stream->send_trailers(trailers);
  }
  void client_leave(uint8_t arg) {
    Call* c = call(arg);
    if (c == nullptr) return;
    const bool is_over = c->user.log.reset || (c->user.log.ended && c->client_ended);
    if (polite_ && !is_over) return;
    c->left_by_client = true;
    if ((arg & 128) != 0) {
      c->user.stream->reset(Code::downstream_gone);
    } else {
      c->user.stream->detach();
    }
  }

  void server_head(uint8_t arg) {
    ServerUser* u = server(arg);
    if (u == nullptr) return;
    ResponseHead head(u->arena());
    const uint16_t codes[] = {200, 204, 304, 500, 103, 101, 403, 200};
    if (polite_) arg &= 0x20;
    head.status = codes[arg & 7];
    if (head.status == 101) head.upgrade = "websocket";
    if ((arg & 8) != 0) head.content_length = arg;
    if ((arg & 16) != 0) head.headers.add_copy("X-Big", bytes(size_of(arg), arg));
    if ((arg & 192) == 192) head.headers.add("x", "bad\r\nvalue");
    const bool end = (arg & 32) != 0;
    if (head.status == 103) return u->stream->send_informational(head);
    if (Call* c = call_of(*u)) c->server_ended = c->server_ended || end;
    u->stream->send_head(head, end);
  }
  void server_body(uint8_t arg) {
    ServerUser* u = server(arg);
    Call* c = u != nullptr ? call_of(*u) : nullptr;
    if (c == nullptr || c->server_ended) return;
    const std::string data = bytes(size_of(arg), c->response.size());
    c->response += data;
    c->server_ended = (arg & 1) != 0;
    u->stream->send_body(chain(pool_, data), c->server_ended);
  }
  void server_trailers(uint8_t arg) {
    ServerUser* u = server(arg);
    Call* c = u != nullptr ? call_of(*u) : nullptr;
    if (c == nullptr || c->server_ended) return;
    HeaderMap trailers(u->arena());
    trailers.add("grpc-status", "0");
    c->server_ended = true;
    u->stream->send_trailers(trailers);
  }
  void server_leave(uint8_t arg) {
    ServerUser* u = server(arg);
    if (u == nullptr) return;
    const Call* c = call_of(*u);
    const bool is_over = u->log.reset || (u->log.ended && c != nullptr && c->server_ended);
    if (polite_ && !is_over) return;
    if ((arg & 128) != 0 && !polite_) return u->abort((arg & 1) != 0 ? Code::refused_stream : Code::internal);
    u->detach();
  }

  void consume(uint8_t arg) {
    if (Call* c = call(arg)) c->user.stream->consume(size_of(arg));
    if (ServerUser* u = server(arg)) u->stream->consume(size_of(arg));
  }
  void control(uint8_t arg) {
    switch (arg % 16) {
      case 0: return server_->start_drain(false);
      case 1: return server_->start_drain(true);
      case 2: return client_->ping();
      case 3: return server_->on_minute();
      case 4: return server_->on_eof();
      case 5: return client_->on_eof();
      case 6: return server_->on_connection_lost({.code = Code::peer_reset, .side = Side::downstream});
      case 7: return client_->on_connection_lost({.code = Code::peer_reset, .side = Side::upstream});
      default: return;
    }
  }

  // What the sender has goes to the wire, and some of the wire to the receiver.
  void carry(Codec& from, Codec& to, Chain& wire, uint8_t arg) {
    if (from.wants_produce()) from.produce(wire, 1 + size_of(arg));
    Chain piece;
    wire.move_front(std::min(wire.size(), 1 + size_of(arg)), piece);
    if (mutate_ && !piece.empty()) {
      std::string spoiled = piece.to_string();
      spoiled[*mutate_ % spoiled.size()] ^= static_cast<char>(1 + *mutate_ % 64);
      piece = chain(pool_, spoiled);
      mutate_.reset();
      mutated_ = true;
    }
    Chain& waiting = &to == server_.get() ? server_input_ : client_input_;
    waiting.append(std::move(piece));
    if (!to.wants_pause()) (void)to.feed(waiting);
  }

  void settle() {
    for (int i = 0; i < 8; ++i) {
      carry(*client_, *server_, to_server_, 255);
      carry(*server_, *client_, to_client_, 255);
    }
  }

  static bool is_prefix(const Chain& part, const std::string& whole) {
    if (part.size() > whole.size()) return false;
    return part.to_string() == whole.substr(0, part.size());
  }

  void check() {
    if (mutated_) return;
    for (auto& user : users_.users) {
      const Call* c = call_of(*user);
      if (c == nullptr) continue;
      PILLION_CHECK(is_prefix(user->body, c->request));
    }
    for (auto& c : calls_) PILLION_CHECK(c->user.log.received <= c->response.size());
  }

  void connect() {
    server_ = kind_ == PairKind::h1 ? make_h1_server(pool_, users_, limits_) : make_h2_server(pool_, users_, limits_);
    client_ = kind_ == PairKind::h1 ? make_h1_client(pool_, limits_) : make_h2_client(pool_, limits_);
    mutated_ = false;
    mutate_.reset();
  }

  void reconnect() {
    for (auto& c : calls_) {
      if (polite_ && !c->left_by_client) return;
    }
    disconnect();
    connect();
  }

  void disconnect() {
    if (server_ == nullptr) return;
    settle();
    check();
    for (auto& user : users_.users) {
      const Call* c = call_of(*user);
      if (!mutated_ && c != nullptr && user->log.ended && !user->log.reset && user->request->upgrade.empty()) {
        PILLION_CHECK(user->body.size() == c->request.size());
        ++completed_;
      }
      if (user->stream != nullptr) user->detach();
      user->body.clear();
    }
    for (auto& c : calls_) {
      if (!c->left_by_client) c->user.stream->detach();
    }
    settle();
    PILLION_CHECK(client_->active_streams() == 0);
    // HTTP/1: a request may have arrived, or be arriving, since.
    for (auto& user : users_.users) {
      if (user->stream != nullptr) user->detach();
    }
    PILLION_CHECK(server_->active_streams() == 0 || kind_ == PairKind::h2);
    client_->on_connection_lost({.code = Code::peer_reset, .side = Side::upstream});
    server_->on_connection_lost({.code = Code::peer_reset, .side = Side::downstream});
    for (auto& user : users_.users) {
      if (user->stream != nullptr) user->detach();
    }
    PILLION_CHECK(server_->active_streams() == 0);
    server_.reset();
    client_.reset();
    for (Chain* c : {&to_server_, &to_client_, &server_input_, &client_input_}) c->clear();
    users_.users.clear();
    calls_.clear();
    PILLION_CHECK(pool_.live() == 0);
  }

  const PairKind kind_;
  const CodecLimits limits_;
  const bool polite_;
  ChunkPool pool_;
  struct Keeping final : ServerCodecEvents {
    ServerStreamEvents& on_stream_begin(ServerStream& stream) override {
      users.push_back(std::make_unique<ServerUser>(stream));
      users.back()->keep_bodies = true;
      return *users.back();
    }
    std::vector<std::unique_ptr<ServerUser>> users;
  } users_;
  std::vector<std::unique_ptr<Call>> calls_;
  Chain to_server_;
  Chain to_client_;
  Chain server_input_;
  Chain client_input_;
  std::optional<uint8_t> mutate_;
  bool mutated_ = false;
  size_t completed_ = 0;
  std::unique_ptr<ServerCodec> server_;
  std::unique_ptr<ClientCodec> client_;
};

// Small limits, so that a short script reaches them.
inline CodecLimits small_limits() {
  return {.concurrent_streams_max = 8,
          .stream_window_bytes = 4000,
          .connection_window_bytes = 20'000,
          .stream_buffer_bytes = 8000};
}

}  // namespace pillion::http::test
