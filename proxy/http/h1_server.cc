#include "proxy/http/h1_server.h"

#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/validate.h"

namespace pillion::http {

H1Server::H1Server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits)
    : events_(events), limits_(limits), parser_(H1Parser::Kind::request, limits_), output_(chunks) {}

// === request ===

Expected<void> H1Server::feed(Chain& in) {
  Expected<void> result = run(in);
  if (closing_) in.clear();
  left_over_ = !in.empty();
  return result;
}

Expected<void> H1Server::run(Chain& in) {
  while (!closing_ && !wants_pause()) {
    switch (parser_.next(in)) {
      case H1Parser::Step::need_more: return {};
      case H1Parser::Step::begun: begin_stream(); break;
      case H1Parser::Step::head: on_head(); break;
      case H1Parser::Step::body: {
        in_over_ = parser_.is_over();
        Chain data = parser_.take_body();
        if (user_ != nullptr) user_->on_body(std::move(data), in_over_);
        break;
      }
      case H1Parser::Step::trailers:
        in_over_ = true;
        if (user_ != nullptr) user_->on_trailers(parser_.take_trailers());
        break;
      case H1Parser::Step::end: on_step_end(); break;
      case H1Parser::Step::failed: return refuse();
    }
  }
  return {};
}

void H1Server::begin_stream() {
  ++requests_;
  busy_ = true;
  in_over_ = head_sent_ = out_over_ = undecided_ = tunnel_ = is_head_ = is_connect_ = close_ = congested_ = false;
  begun_output_ = false;
  version_ = Version::http11;
  upgrade_ = std::string();
  user_ = &events_.on_stream_begin(*this);
  parser_.set_arena(user_->arena());
}

void H1Server::on_head() {
  RequestHead head = parser_.take_request();
  version_ = head.version;
  is_head_ = head.method == "HEAD";
  is_connect_ = head.method == "CONNECT";
  if (!head.upgrade.empty()) upgrade_ = std::string(head.upgrade);
  close_ = head.wants_close;
  undecided_ = is_connect_ || !upgrade_.empty();
  in_over_ = parser_.is_over() && !undecided_;
  if (user_ != nullptr) user_->on_request_head(std::move(head), in_over_);
}

void H1Server::on_step_end() {
  if (in_over_) return;
  in_over_ = true;
  if (user_ != nullptr) user_->on_body({}, true);
}

// The stream stays, so that its user can answer 400 or 431; the connection ends behind that.
std::unexpected<Error> H1Server::refuse() {
  const Error why = parser_.error();
  failure_ = why;
  if (!busy_) begin_stream();
  in_over_ = close_ = closing_ = true;
  if (ServerStreamEvents* user = std::exchange(user_, nullptr)) user->on_reset(why);
  return std::unexpected(why);
}

// === response ===

void H1Server::send_informational(const ResponseHead& head) {
  if (!is_writable() || head_sent_ || version_ == Version::http10) return;
  if (head.status < 100 || head.status > 199 || head.status == 101 || find_fault(head) != nullptr) return;
  output_.write_informational(head);
}

bool H1Server::is_agreement(const ResponseHead& head) const {
  if (!undecided_) return false;
  if (is_connect_) return head.status / 100 == 2;
  return head.status == 101 && !head.upgrade.empty() && list_has(*upgrade_, head.upgrade);
}

const char* H1Server::check_head(const ResponseHead& head, bool end) const {
  if (const char* fault = find_fault(head)) return fault;
  if (head.status < 200 && !is_agreement(head)) return "an informational status as the response";
  if (end && head.content_length.value_or(0) > 0 && !is_head_ && head.status != 304) {
    return "the body is shorter than its Content-Length";
  }
  return nullptr;
}

std::string_view H1Server::connection_option() const {
  if (close_) return "close";
  return version_ == Version::http10 ? "keep-alive" : "";
}

void H1Server::start_tunnel(const ResponseHead& head) {
  undecided_ = false;
  tunnel_ = true;
  close_ = true;
  parser_.set_framing(H1Framing::tunnel);
  output_.write_response(head, H1Framing::tunnel, 0, false, head.status == 101 ? "Upgrade" : "");
}

void H1Server::send_head(const ResponseHead& head, bool end) {
  if (!is_writable() || head_sent_) return;
  if (const char* fault = check_head(head, end)) return settle_output(fault, false);
  head_sent_ = true;
  if (is_agreement(head)) {
    start_tunnel(head);
    return settle_output(nullptr, end);
  }
  if (std::exchange(undecided_, false)) in_over_ = true;  // refused: the request had no body
  // What is not read by now is never read, so the peer had better know.
  if (draining_ || (end && !in_over_)) close_ = true;
  const bool bodiless = has_no_body(is_head_ ? "HEAD" : "", head.status);
  const uint64_t length = head.content_length.value_or(0);
  if (bodiless) {
    const bool show = head.content_length && head.status != 204;
    output_.write_response(head, H1Framing::none, length, show, connection_option());
  } else if (head.content_length || end) {
    output_.write_response(head, H1Framing::length, length, false, connection_option());
  } else if (version_ == Version::http10) {
    close_ = true;
    output_.write_response(head, H1Framing::until_close, 0, false, connection_option());
  } else {
    output_.write_response(head, H1Framing::chunked, 0, false, connection_option());
  }
  settle_output(nullptr, end);
}

void H1Server::send_body(Chain&& data, bool end) {
  if (!is_writable() || !head_sent_) return data.clear();
  settle_output(output_.write_body(std::move(data), end), end);
}

void H1Server::send_trailers(const HeaderMap& trailers) {
  if (!is_writable() || !head_sent_) return;
  settle_output(output_.write_trailers(trailers), true);
}

// Behind each thing that was written. After a fault the peer must not take what it has for the whole message.
void H1Server::settle_output(const char* fault, bool end) {
  if (fault != nullptr) {
    const Code code = head_sent_ ? Code::body_length_mismatch : Code::bad_message;
    fault_ = Error{.code = code, .side = Side::local, .what = fault};
    if (head_sent_) aborted_ = dead_ = closing_ = true;
    return;
  }
  if (end) out_over_ = true;
  if (output_.size() > limits_.stream_buffer_bytes) congested_ = true;
}

void H1Server::produce(Chain& out, size_t budget) {
  begun_output_ = head_sent_;
  output_.produce(out, budget);
  if (fault_) {
    const Error why = *std::exchange(fault_, std::nullopt);
    if (ServerStreamEvents* user = std::exchange(user_, nullptr)) user->on_reset(why);
  }
  if (congested_ && output_.size() <= limits_.stream_buffer_bytes / 2) {
    congested_ = false;
    if (user_ != nullptr) user_->on_drained();
  }
}

// === failure and teardown ===

void H1Server::on_eof() {
  if (std::exchange(eof_, true) || !busy_ || in_over_) return;
  in_over_ = true;
  if (tunnel_) {
    if (user_ != nullptr) user_->on_body({}, true);
    return;
  }
  closing_ = true;
  const Error why{.code = Code::peer_closed, .side = Side::downstream, .what = "reading the request"};
  if (ServerStreamEvents* user = std::exchange(user_, nullptr)) user->on_reset(why);
}

void H1Server::on_connection_lost(const Error& why) {
  closing_ = dead_ = true;
  output_.clear();
  fault_.reset();
  if (ServerStreamEvents* user = std::exchange(user_, nullptr)) user->on_reset(why);
}

void H1Server::start_drain(bool last) {
  draining_ = true;
  last_ = last_ || last;
}

void H1Server::reset(Code) {
  if (head_sent_ && !out_over_) {
    aborted_ = true;
    if (begun_output_) output_.clear();  // else the client hears what there is, as it would have a turn earlier
  }
  closing_ = true;
  retire_stream();
}

void H1Server::detach() {
  if (head_sent_ && !out_over_ && !tunnel_) aborted_ = true;
  if (!in_over_ || !out_over_ || close_ || tunnel_) closing_ = true;
  retire_stream();
}

void H1Server::retire_stream() {
  PILLION_DCHECK(busy_);
  user_ = nullptr;
  fault_.reset();
  busy_ = congested_ = undecided_ = tunnel_ = false;
  parser_.restart();
}

bool H1Server::is_finished() const {
  if (busy_ || !output_.empty()) return false;
  return closing_ || ((eof_ || last_) && !left_over_ && parser_.is_idle());
}

bool H1Server::is_output_finished() const {
  if (!output_.empty()) return false;
  return is_finished() || (tunnel_ && out_over_);
}

std::unique_ptr<ServerCodec> make_h1_server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits) {
  return std::make_unique<H1Server>(chunks, events, limits);
}

}  // namespace pillion::http
