// Users of codecs that write down what they are told. A log is text: one line per event, neighbouring pieces of a body
// joined, so that the same bytes cut differently give the same log.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/http/codec.h"

namespace pillion::http::test {

inline std::string text(std::string_view s) {
  return std::string(s);
}

inline std::string text(const HeaderMap& headers) {
  std::string out;
  for (const Header& h : headers) out += " [" + text(h.name) + ": " + text(h.value) + "]";
  return out;
}

inline std::string text(const RequestHead& head) {
  std::string out = "request " + text(head.method) + " " + text(head.scheme) + "|" + text(head.authority) + "|" +
                    text(head.path) + " " + text(name_of(head.version));
  if (!head.upgrade.empty()) out += " upgrade=" + text(head.upgrade);
  if (head.content_length) out += " length=" + std::to_string(*head.content_length);
  if (head.expects_continue) out += " continue";
  if (head.wants_close) out += " close";
  if (head.te_trailers) out += " te";
  return out + text(head.headers);
}

inline std::string text(const ResponseHead& head) {
  std::string out = "response " + std::to_string(head.status) + " " + text(name_of(head.version));
  if (!head.upgrade.empty()) out += " upgrade=" + text(head.upgrade);
  if (head.content_length) out += " length=" + std::to_string(*head.content_length);
  if (head.wants_close) out += " close";
  return out + text(head.headers);
}

// What both kinds of stream user record.
class Log {
 public:
  void line(std::string s) {
    flush();
    lines_ += s + "\n";
  }
  void body(Chain&& data, bool end) {
    body_ += data.to_string();
    received += data.size();
    if (end) line("end");
  }
  void flush() {
    if (!body_.empty()) lines_ += "body " + std::exchange(body_, {}) + "\n";
  }
  std::string take() {
    flush();
    return lines_;
  }
  size_t received = 0;
  size_t drained = 0;
  bool ended = false;
  std::optional<Error> reset;

 private:
  std::string lines_;
  std::string body_;
};

inline std::string text(const Error& why) {
  std::string out = std::string("reset ") + info(why.code).name;
  if (why.retry == Retry::safe) out += " safe";
  if (why.retry == Retry::if_reused) out += " if_reused";
  return out;
}

struct ServerUser final : ServerStreamEvents {
  explicit ServerUser(ServerStream& s) : stream(&s) {}
  Arena& arena() override { return arena_; }
  void on_request_head(RequestHead&& head, bool end) override {
    log.line(text(head) + (end ? " end" : ""));
    log.ended = end;
    request.emplace(std::move(head));
  }
  void on_body(Chain&& data, bool end) override {
    body.append(std::move(data));
    if (keep_bodies) {
      if (end) log.line("end");
    } else {
      log.body(std::move(body), end);
      body.clear();
    }
    log.ended = log.ended || end;
  }
  void on_trailers(HeaderMap&& t) override {
    log.line("trailers" + text(t));
    log.ended = true;
    trailers.emplace(std::move(t));
  }
  void on_reset(const Error& why) override {
    log.line(text(why));
    log.reset = why;
  }
  void on_drained() override { ++log.drained; }
  void detach() { std::exchange(stream, nullptr)->detach(); }
  void abort(Code why) { std::exchange(stream, nullptr)->reset(why); }

  ServerStream* stream;
  Log log;
  std::optional<RequestHead> request;
  std::optional<HeaderMap> trailers;
  Chain body;
  bool keep_bodies = false;

 private:
  Arena arena_;
};

struct ClientUser final : ClientStreamEvents {
  Arena& arena() override { return arena_; }
  void on_informational(ResponseHead&& head) override { log.line(text(head) + " informational"); }
  void on_response_head(ResponseHead&& head, bool end) override {
    log.line(text(head) + (end ? " end" : ""));
    log.ended = end;
    response.emplace(std::move(head));
  }
  void on_body(Chain&& data, bool end) override {
    log.body(std::move(data), end);
    log.ended = log.ended || end;
  }
  void on_trailers(HeaderMap&& t) override {
    log.line("trailers" + text(t));
    log.ended = true;
  }
  void on_reset(const Error& why) override {
    log.line(text(why));
    log.reset = why;
  }
  void on_drained() override { ++log.drained; }

  ClientStream* stream = nullptr;
  Log log;
  std::optional<ResponseHead> response;

 private:
  Arena arena_;
};

struct ServerUsers final : ServerCodecEvents {
  ServerStreamEvents& on_stream_begin(ServerStream& stream) override {
    users.push_back(std::make_unique<ServerUser>(stream));
    return *users.back();
  }
  std::string log() {
    std::string out;
    for (auto& user : users) out += user->log.take();
    return out;
  }
  std::vector<std::unique_ptr<ServerUser>> users;
};

// How bytes are cut into reads: sizes in turn; 0 = everything at once.
struct Cuts {
  size_t size = 0;
  std::optional<Random> random;
  size_t next(size_t left) {
    if (random) return 1 + random->below(std::min<size_t>(left, 40));
    return size == 0 ? left : std::min(size, left);
  }
};

inline std::vector<Cuts> all_cuts() {
  std::vector<Cuts> out{{.size = 0}};
  for (const size_t n : {1, 2, 3, 4, 5, 6, 7, 8, 16, 31}) out.push_back({.size = n});
  for (uint64_t seed = 1; seed <= 8; ++seed) out.push_back({.random = Random(seed)});
  return out;
}

inline Chain chain(ChunkPool& pool, std::string_view bytes) {
  Chain c;
  c.append(pool, bytes);
  return c;
}

// Everything that the codec has to say now.
inline std::string take_output(Codec& codec) {
  Chain out;
  while (codec.wants_produce()) {
    const size_t before = out.size();
    codec.produce(out, 64 * 1024);
    if (out.size() == before) break;
  }
  return out.to_string();
}

}  // namespace pillion::http::test
