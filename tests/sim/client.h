// A simulated HTTP client: connections over the real client codecs, requests with bodies that come in pieces, and the
// bad manners of clients (reading slowly, going away, never ending a body).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/http/codec.h"
#include "tests/sim/dialer.h"
#include "tests/sim/ledger.h"

namespace pillion::sim {

struct RequestPlan {
  uint64_t id = 0;
  std::string method = "GET", path;
  size_t body_bytes = 0;
  size_t piece_bytes = 16 * 1024;
  Duration between_pieces{};
  bool never_ends = false;  // the last piece is kept back
  bool is_chunked = false;  // no content-length
  Duration patience{};      // gives up then
};

class ClientConnection;

class ClientRequest final : public event::Retirable, public http::ClientStreamEvents, public event::Steppable {
 public:
  ClientRequest(ClientConnection& connection, RequestPlan plan);
  void begin(http::ClientStream& stream);
  void step() override;

 private:
  Arena& arena() override { return arena_; }
  void on_informational(http::ResponseHead&&) override {}
  void on_response_head(http::ResponseHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&&) override { ended(); }
  void on_reset(const Error&) override;
  void on_drained() override;
  void on_piece_due();
  void on_impatient();
  void ended();
  void send_pieces();
  void check_whole();
  void finish(bool whole, bool gave_up);

  ClientConnection& connection_;
  const RequestPlan plan_;
  http::ClientStream* stream_ = nullptr;
  Arena arena_;
  event::Timer piece_timer_{event::Timer::bind<&ClientRequest::on_piece_due>(this)};
  event::Timer patience_timer_{event::Timer::bind<&ClientRequest::on_impatient>(this)};
  size_t sent_ = 0;
  size_t received_ = 0;
  size_t unconsumed_ = 0;
  std::optional<uint64_t> origin_id_, origin_size_;  // what the origin says of its answer
  uint16_t status_ = 0;
  bool body_is_right_ = true;
  bool request_ended_ = false;
  bool response_ended_ = false;
  bool was_reset_ = false;
  bool is_impatient_ = false;
  bool is_over_ = false;
};

class ClientConnection final : public event::Retirable,
                               public net::DialEvents,
                               public net::TransportEvents,
                               public event::Flushable {
 public:
  ClientConnection(Network& network, SimDialer& dialer, event::Executor& executor, Ledger& ledger, const Address& to,
                   bool http2)
      : network(network),
        executor(executor),
        ledger(ledger),
        codec_(http2 ? http::make_h2_client(executor.chunks, {}) : http::make_h1_client(executor.chunks, {})),
        stall_timer_(event::Timer::bind<&ClientConnection::on_stall_over>(this)) {
    dial_ = dialer.dial({.remote = to}, *this);
  }
  ~ClientConnection() override { close(false); }

  bool can_start() const {
    return transport_ != nullptr && !is_gone_ && codec_->can_start() && !codec_->is_going_away();
  }
  bool is_gone() const { return is_gone_; }
  bool is_idle() const { return requests_.empty(); }
  bool is_http2() const { return codec_->version() == http::Version::http2; }
  LinkEnd* link_end() const { return transport_.get(); }

  void start(RequestPlan plan) {
    requests_.push_back(std::make_unique<ClientRequest>(*this, std::move(plan)));
    ClientRequest& request = *requests_.back();
    request.begin(codec_->start(request));
    touch();
  }
  void stall(Duration how_long) {
    if (transport_ == nullptr || is_gone_ || stall_timer_.is_armed()) return;
    transport_->pause_reading();
    stall_timer_.start_after(executor.timers, how_long);
  }
  // Goes away, with or without a word.
  void close(bool with_reset) {
    if (is_gone_) return;
    is_gone_ = true;
    stall_timer_.stop();
    event::Flushable::unlink();
    dial_.reset();
    codec_->on_connection_lost({Code::local_close, Side::local, Retry::never, 0, "the client goes away"});
    if (transport_ == nullptr) return;
    with_reset ? transport_->reset() : transport_->close();
  }
  void touch() {
    if (!is_gone_ && transport_ != nullptr) executor.dirty(*this);
  }
  void forget(ClientRequest& request) {
    for (auto it = requests_.begin(); it != requests_.end(); ++it) {
      if (it->get() != &request) continue;
      executor.retire(std::move(*it));
      requests_.erase(it);
      return;
    }
  }

  Network& network;
  event::Executor& executor;
  Ledger& ledger;

 private:
  void on_dialed(net::TransportPtr transport) override {
    transport_.reset(static_cast<LinkEnd*>(transport.release()));
    transport_->set_events(this);
    touch();
  }
  void on_dial_failed(const Error&) override { close(false); }
  void on_bytes(Chain& in) override {
    if (const auto fed = codec_->feed(in); !fed) in.clear();
    touch();
  }
  void on_eof() override {
    codec_->on_eof();
    eof_ = true;
    touch();
  }
  void on_writable() override { touch(); }
  void on_closed(const Error& why) override {
    codec_->on_connection_lost(why);
    close(false);
  }
  void flush() override {
    if (is_gone_) return;
    while (codec_->wants_produce() && !transport_->is_congested()) {
      Chain out;
      codec_->produce(out, 64 * 1024);
      if (out.empty()) break;
      transport_->write(std::move(out));
    }
    if (codec_->wants_produce()) return;
    if (codec_->is_finished() || (requests_.empty() && (eof_ || codec_->is_going_away()))) {
      close(codec_->wants_abort());
    }
  }
  void on_stall_over() {
    if (!is_gone_) transport_->resume_reading();
  }

  std::unique_ptr<http::ClientCodec> codec_;
  std::unique_ptr<LinkEnd> transport_;
  std::unique_ptr<net::Dial> dial_;
  std::vector<std::unique_ptr<ClientRequest>> requests_;
  event::Timer stall_timer_;
  bool eof_ = false;
  bool is_gone_ = false;
};

}  // namespace pillion::sim
