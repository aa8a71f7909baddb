// A simulated HTTP server over the real server codecs, which does to each request what it is told.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/http/codec.h"
#include "tests/sim/dialer.h"

namespace pillion::sim {

// What happens to one request, in this order.
struct Reaction {
  enum class Kind : uint8_t {
    answer,       // once the request has ended
    reset,        // RST_STREAM on HTTP/2, RST of the connection on HTTP/1
    refuse,       // HTTP/2: REFUSED_STREAM; HTTP/1: as reset
    close,        // FIN without an answer
    hang,         // nothing, ever
    cut_in_body,  // head and half of the body, then as reset
    fin_in_body   // HTTP/1: head and half of the body, then FIN; HTTP/2: as reset
  };
  Kind kind = Kind::answer;
  uint16_t status = 200;
  size_t body_bytes = 5;
  std::string body;         // instead of so many x
  bool is_chunked = false;  // no content-length
  std::vector<std::pair<std::string, std::string>> trailers;
  Duration delay{};
  bool close_after = false;  // connection: close, GOAWAY
  std::vector<std::pair<std::string, std::string>> headers;
};

struct SeenRequest {
  std::string method, path, authority;
  std::string body;
  Instant at;
  uint64_t connection = 0;  // from 1, in the order of accepting
};

class Origin final : public Acceptor {
 public:
  using Script = std::function<Reaction(const SeenRequest&)>;
  Origin(Network& network, event::Executor& executor, const Address& address, bool http2);
  // The connections close; the address stays known to the network as one that refuses.
  ~Origin();

  Host& host() { return host_; }
  Script script = [](const SeenRequest&) { return Reaction{}; };
  std::vector<SeenRequest> requests;  // in the order of their heads
  std::function<void(const SeenRequest&)> on_head = [](const SeenRequest&) {};
  bool answers_early = false;  // the script is asked as soon as the head is there
  size_t accepted = 0;
  size_t open() const { return connections_.size(); }
  void close_all();
  void reset_all();
  void stall(bool on);  // nobody reads from the connections of now
  void drain_all();

 private:
  class Connection;
  class Request;

  void on_accept(std::unique_ptr<LinkEnd> transport) override;

  event::Executor& executor_;
  const bool http2_;
  Host& host_;
  std::vector<std::unique_ptr<Connection>> connections_;
};

class Origin::Request final : public event::Retirable, public http::ServerStreamEvents, public event::Steppable {
 public:
  Request(Connection& connection, http::ServerStream& stream);
  void step() override;

 private:
  Arena& arena() override { return arena_; }
  void on_request_head(http::RequestHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&&) override { ended(); }
  void on_reset(const Error&) override;
  void on_drained() override {}
  void ended();
  void on_due();
  void act();
  void answer(bool whole);

  Connection& connection_;
  http::ServerStream* stream_;
  Arena arena_;
  SeenRequest seen_;
  size_t index_ = 0;
  Reaction reaction_;
  event::Timer delay_{event::Timer::bind<&Request::on_due>(this)};
  size_t unconsumed_ = 0;
  bool has_head_ = false;
  bool is_head_request_ = false;
  bool has_ended_ = false;
  bool was_reset_ = false;
  bool is_due_ = false;
  bool is_over_ = false;
};

class Origin::Connection final : public event::Retirable,
                                 public net::TransportEvents,
                                 public http::ServerCodecEvents,
                                 public event::Flushable {
 public:
  Connection(Origin& origin, std::unique_ptr<LinkEnd> transport, uint64_t id)
      : origin(origin), id(id), transport_(std::move(transport)) {
    codec_ = origin.http2_ ? http::make_h2_server(executor().chunks, *this, {})
                           : http::make_h1_server(executor().chunks, *this, {});
    transport_->set_events(this);
    touch();
  }
  event::Executor& executor() const { return origin.executor_; }
  void touch() {
    if (!is_gone_) executor().dirty(*this);
  }
  void close() {
    codec_->on_connection_lost({Code::local_close, Side::local, Retry::never, 0, "the origin closes"});
    transport_->close();
    leave();
  }
  void reset() {
    codec_->on_connection_lost({Code::local_close, Side::local, Retry::never, 0, "the origin resets"});
    transport_->reset();
    leave();
  }
  void stall(bool on) {
    if (is_stalled_ == on) return;
    is_stalled_ = on;
    on ? transport_->pause_reading() : transport_->resume_reading();
  }
  void drain() {
    codec_->start_drain(true);
    touch();
  }
  void forget(Request& request) {
    for (size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i].get() != &request) continue;
      executor().retire(std::move(requests_[i]));
      requests_.erase(requests_.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
  }
  bool is_http2() const { return origin.http2_; }
  bool is_gone() const { return is_gone_; }

  Origin& origin;
  const uint64_t id;

 private:
  http::ServerStreamEvents& on_stream_begin(http::ServerStream& stream) override {
    requests_.push_back(std::make_unique<Request>(*this, stream));
    return *requests_.back();
  }
  void on_bytes(Chain& in) override {
    if (const auto fed = codec_->feed(in); !fed) in.clear();
    touch();
  }
  void on_eof() override {
    codec_->on_eof();
    touch();
  }
  void on_writable() override { touch(); }
  void on_closed(const Error& why) override {
    codec_->on_connection_lost(why);
    leave();
  }
  void flush() override {
    if (is_gone_) return;
    while (codec_->wants_produce() && !transport_->is_congested()) {
      Chain out;
      codec_->produce(out, 64 * 1024);
      if (out.empty()) break;
      transport_->write(std::move(out));
    }
    if (codec_->is_finished() && !codec_->wants_produce()) {
      if (codec_->wants_abort()) transport_->reset();
      transport_->close();
      leave();
    }
  }
  void leave() {
    if (is_gone_) return;
    is_gone_ = true;
    event::Flushable::unlink();
    auto& all = origin.connections_;
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i].get() != this) continue;
      executor().retire(std::move(all[i]));
      all.erase(all.begin() + static_cast<ptrdiff_t>(i));
      return;
    }
  }

  std::unique_ptr<LinkEnd> transport_;
  std::unique_ptr<http::ServerCodec> codec_;
  std::vector<std::unique_ptr<Request>> requests_;
  bool is_gone_ = false;
  bool is_stalled_ = false;
};

inline Origin::Origin(Network& network, event::Executor& executor, const Address& address, bool http2)
    : executor_(executor), http2_(http2), host_(network.listen(address, *this, executor)) {}
inline Origin::~Origin() {
  host_.acceptor = nullptr;
  close_all();
}
inline void Origin::close_all() {
  while (!connections_.empty()) connections_.back()->close();
}
inline void Origin::reset_all() {
  while (!connections_.empty()) connections_.back()->reset();
}
inline void Origin::stall(bool on) {
  for (const auto& c : connections_) c->stall(on);
}
inline void Origin::drain_all() {
  for (const auto& c : connections_) c->drain();
}

inline void Origin::on_accept(std::unique_ptr<LinkEnd> transport) {
  connections_.push_back(std::make_unique<Connection>(*this, std::move(transport), ++accepted));
}

inline Origin::Request::Request(Connection& connection, http::ServerStream& stream)
    : connection_(connection), stream_(&stream) {}

inline void Origin::Request::on_request_head(http::RequestHead&& head, bool end) {
  has_head_ = true;
  seen_ = {.method = std::string(head.method),
           .path = std::string(head.path),
           .authority = std::string(head.authority),
           .at = connection_.executor().now(),
           .connection = connection_.id};
  index_ = connection_.origin.requests.size();
  connection_.origin.requests.push_back(seen_);
  is_head_request_ = head.method == "HEAD";
  connection_.origin.on_head(seen_);
  if (end) ended();
}

inline void Origin::Request::on_body(Chain&& data, bool end) {
  unconsumed_ += data.size();
  seen_.body += data.to_string();
  data.clear();
  connection_.executor().ready(*this);
  if (end) ended();
}

inline void Origin::Request::on_reset(const Error&) {
  was_reset_ = true;
  connection_.executor().ready(*this);
}

inline void Origin::Request::ended() {
  has_ended_ = true;
  connection_.executor().ready(*this);
}

inline void Origin::Request::on_due() {
  is_due_ = true;
  connection_.executor().ready(*this);
}

inline void Origin::Request::step() {
  if (is_over_) return;
  if (was_reset_ || connection_.is_gone()) {
    is_over_ = true;
    delay_.stop();
    if (!connection_.is_gone()) {
      stream_->detach();
      connection_.touch();
      connection_.forget(*this);
    }
    return;
  }
  if (unconsumed_ > 0) {
    stream_->consume(std::exchange(unconsumed_, 0));
    connection_.touch();
  }
  if (!has_ended_ && !connection_.origin.answers_early) return;
  if (!is_due_) {
    if (delay_.is_armed()) return;
    connection_.origin.requests[index_].body = seen_.body;
    reaction_ = connection_.origin.script(seen_);
    if (reaction_.delay.count() > 0) return delay_.start_after(connection_.executor().timers, reaction_.delay);
  }
  act();
}

inline void Origin::Request::act() {
  if (reaction_.kind == Reaction::Kind::hang) return;
  is_over_ = true;
  const bool h2 = connection_.is_http2();
  switch (reaction_.kind) {
    case Reaction::Kind::answer: answer(true); break;
    case Reaction::Kind::fin_in_body:
    case Reaction::Kind::cut_in_body:
      answer(false);
      connection_.touch();
      // Once that is written.
      reaction_.kind =
          reaction_.kind == Reaction::Kind::fin_in_body && !h2 ? Reaction::Kind::close : Reaction::Kind::reset;
      is_over_ = is_due_ = false;
      delay_.start_after(connection_.executor().timers, Duration{1});
      return;
    case Reaction::Kind::close: return connection_.close();
    case Reaction::Kind::refuse:
    case Reaction::Kind::reset:
      if (!h2) return connection_.reset();
      stream_->reset(reaction_.kind == Reaction::Kind::refuse ? Code::refused_stream : Code::internal);
      break;
    case Reaction::Kind::hang: break;
  }
  if (reaction_.close_after) connection_.drain();
  connection_.touch();
  connection_.forget(*this);
}

// Head and body, all of it or the first half.
inline void Origin::Request::answer(bool whole) {
  std::string body = reaction_.body.empty() ? std::string(reaction_.body_bytes, 'x') : reaction_.body;
  http::ResponseHead head(arena_);
  head.status = reaction_.status;
  if (!reaction_.is_chunked) head.content_length = body.size();
  for (const auto& [name, value] : reaction_.headers) head.headers.add_copy(name, value);
  if (reaction_.close_after) connection_.drain();
  const bool has_trailers = !reaction_.trailers.empty() && !is_head_request_;
  const bool ends = (body.empty() || is_head_request_) && whole && !has_trailers;
  stream_->send_head(head, ends);
  if (!ends) {
    if (!whole) body.resize(body.size() / 2);
    Chain bytes;
    bytes.append(connection_.executor().chunks, body);
    stream_->send_body(std::move(bytes), whole && !has_trailers);
    if (has_trailers && whole) {
      http::HeaderMap trailers(arena_);
      for (const auto& [name, value] : reaction_.trailers) trailers.add_copy(name, value);
      stream_->send_trailers(trailers);
    }
  }
  if (whole) stream_->detach();
}

}  // namespace pillion::sim
