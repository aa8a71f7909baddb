#include "proxy/http/h1_client.h"

#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/validate.h"

namespace pillion::http {

H1Client::H1Client(ChunkPool& chunks, const CodecLimits& limits)
    : limits_(limits), parser_(H1Parser::Kind::response, limits_), output_(chunks) {}

ClientStream& H1Client::start(ClientStreamEvents& events) {
  PILLION_CHECK(can_start());
  ++requests_;
  busy_ = true;
  head_sent_ = produced_ = answered_ = in_over_ = out_over_ = undecided_ = tunnel_ = is_head_ = is_connect_ = false;
  congested_ = false;
  informational_ = 0;
  user_ = &events;
  return *this;
}

// === request ===

const char* H1Client::check_head(const RequestHead& head, bool end) const {
  if (const char* fault = find_fault(head)) return fault;
  if (end && head.content_length.value_or(0) > 0) return "the body is shorter than its Content-Length";
  return nullptr;
}

void H1Client::send_head(const RequestHead& head, bool end) {
  if (!is_writable() || head_sent_) return;
  if (const char* fault = check_head(head, end)) return settle_output(fault, false);
  head_sent_ = true;
  is_head_ = head.method == "HEAD";
  is_connect_ = head.method == "CONNECT";
  upgrade_ = head.upgrade;
  undecided_ = is_connect_ || !upgrade_.empty();
  if (undecided_) {
    output_.write_request(head, H1Framing::none, 0);
    return settle_output(nullptr, false);
  }
  // RFC 9110 8.6: a method that usually has a body says when it has none.
  const bool says_length =
      head.content_length || head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  if (head.content_length || (end && says_length)) {
    output_.write_request(head, H1Framing::length, head.content_length.value_or(0));
  } else {
    output_.write_request(head, end ? H1Framing::none : H1Framing::chunked, 0);
  }
  settle_output(nullptr, end);
}

void H1Client::send_body(Chain&& data, bool end) {
  if (!is_writable() || !head_sent_) return data.clear();
  if (undecided_) {
    // CVE-2025-64763: bytes behind an upgrade that is refused later would be read as the next request.
    early_.append(std::move(data));
    if (end) out_over_ = true;
    return settle_output(nullptr, false);
  }
  settle_output(output_.write_body(std::move(data), end), end);
}

void H1Client::send_trailers(const HeaderMap& trailers) {
  if (undecided_) return send_body({}, true);
  if (!is_writable() || !head_sent_) return;
  settle_output(output_.write_trailers(trailers), true);
}

// Behind each thing that was written. A head with a fault leaves the connection as it was; a body with one ends it.
void H1Client::settle_output(const char* fault, bool end) {
  if (fault != nullptr) {
    const Code code = head_sent_ ? Code::body_length_mismatch : Code::bad_message;
    fault_ = Error{.code = code, .side = Side::local, .what = fault};
    if (head_sent_) aborted_ = closing_ = true;
    return;
  }
  if (end) out_over_ = true;
  if (buffered_bytes() > limits_.stream_buffer_bytes) congested_ = true;
}

void H1Client::produce(Chain& out, size_t budget) {
  if (!output_.empty()) produced_ = true;
  output_.produce(out, budget);
  if (fault_) end_stream(*std::exchange(fault_, std::nullopt));
  if (congested_ && buffered_bytes() <= limits_.stream_buffer_bytes / 2) {
    congested_ = false;
    if (user_ != nullptr) user_->on_drained();
  }
}

// === response ===

Expected<void> H1Client::feed(Chain& in) {
  Expected<void> result = run(in);
  if (closing_) in.clear();
  return result;
}

Expected<void> H1Client::run(Chain& in) {
  while (!closing_) {
    if (!busy_ || in_over_ || !produced_) {
      if (in.empty()) return {};
      return fail({.code = Code::bad_message, .side = Side::upstream, .what = "bytes that nobody asked for"});
    }
    if (!in.empty()) answered_ = true;
    switch (parser_.next(in)) {
      case H1Parser::Step::need_more: return {};
      case H1Parser::Step::begun: parser_.set_arena(user_->arena()); break;
      case H1Parser::Step::head:
        if (!on_head()) return fail({.code = Code::bad_message, .side = Side::upstream, .what = broken_});
        break;
      case H1Parser::Step::body: {
        in_over_ = parser_.is_over();
        Chain data = parser_.take_body();
        user_->on_body(std::move(data), in_over_);
        break;
      }
      case H1Parser::Step::trailers:
        in_over_ = true;
        user_->on_trailers(parser_.take_trailers());
        break;
      case H1Parser::Step::end: on_step_end(); break;
      case H1Parser::Step::failed: return fail(parser_.error());
    }
  }
  return {};
}

void H1Client::on_step_end() {
  if (in_over_) return;
  in_over_ = true;
  user_->on_body({}, true);
}

bool H1Client::on_head() {
  ResponseHead head = parser_.take_response();
  if (head.status < 200 && head.status != 101) {
    parser_.restart();
    if (++informational_ > kInformationalMax) {
      broken_ = "too many informational responses";
      return false;
    }
    user_->on_informational(std::move(head));
    return true;
  }
  if (head.status == 101 || (is_connect_ && head.status / 100 == 2)) {
    if (!on_switch(head)) return false;
    head.content_length.reset();
    user_->on_response_head(std::move(head), false);
    return true;
  }
  if (undecided_) {  // refused: the request is what its head was
    undecided_ = false;
    out_over_ = true;
    early_.clear();
  }
  if (has_no_body(is_head_ ? "HEAD" : "", head.status)) parser_.set_framing(H1Framing::none);
  close_ = close_ || head.wants_close || parser_.framing() == H1Framing::until_close;
  in_over_ = parser_.is_over();
  user_->on_response_head(std::move(head), in_over_);
  return true;
}

// A tunnel begins only where it was asked for, and with what was asked for (conformance 3.1, 14).
bool H1Client::on_switch(const ResponseHead& head) {
  if (head.status == 101 && (upgrade_.empty() || head.upgrade.empty() || !list_has(upgrade_, head.upgrade))) {
    broken_ = "101 to a request that did not ask for it";
    return false;
  }
  undecided_ = false;
  tunnel_ = true;
  close_ = true;
  parser_.set_framing(H1Framing::tunnel);
  output_.start_tunnel();
  output_.write_body(std::move(early_), out_over_);
  early_.clear();
  return true;
}

// === failure and teardown ===

// What a new connection could do for the request, as far as this one knows.
Retry H1Client::retry() const {
  if (answered_) return Retry::never;
  return produced_ ? Retry::if_reused : Retry::safe;
}

void H1Client::end_stream(Error why) {
  ClientStreamEvents* user = std::exchange(user_, nullptr);
  in_over_ = true;
  if (user != nullptr) user->on_reset(why);
}

std::unexpected<Error> H1Client::fail(Error why) {
  closing_ = true;
  why.retry = busy_ ? retry() : Retry::never;
  failure_ = why;
  if (!in_over_) end_stream(why);
  return std::unexpected(why);
}

void H1Client::on_eof() {
  if (closing_) return;
  close_ = true;
  if (busy_ && !in_over_) {
    if (!parser_.is_idle() && parser_.finish()) {  // idle: nothing yet, or only informational responses
      in_over_ = true;
      user_->on_body({}, true);
      return;
    }
    closing_ = true;
    end_stream(
        {.code = Code::peer_closed, .side = Side::upstream, .retry = retry(), .what = "waiting for the response"});
  } else {
    closing_ = true;
  }
}

void H1Client::on_connection_lost(const Error& why) {
  closing_ = true;
  output_.clear();
  early_.clear();
  fault_.reset();
  Error told = why;
  if (busy_) told.retry = retry();
  end_stream(told);
}

void H1Client::reset(Code) {
  if (head_sent_ && produced_ && !(in_over_ && out_over_)) aborted_ = true;
  retire_stream(false);
}

void H1Client::detach() {
  if (produced_ && !out_over_ && !tunnel_) aborted_ = true;
  retire_stream(in_over_ && out_over_ && !close_ && !tunnel_);
}

void H1Client::retire_stream(bool may_reuse) {
  PILLION_DCHECK(busy_);
  if (!produced_) {
    // The peer saw nothing of the request: it can be taken back.
    output_.clear();
    may_reuse = !answered_;
  }
  if (!may_reuse) closing_ = true;
  if (closing_) output_.clear();
  user_ = nullptr;
  fault_.reset();
  early_.clear();
  upgrade_.clear();
  busy_ = congested_ = undecided_ = tunnel_ = false;
  parser_.restart();
}

bool H1Client::is_output_finished() const {
  if (!output_.empty()) return false;
  return is_finished() || (tunnel_ && out_over_);
}

std::unique_ptr<ClientCodec> make_h1_client(ChunkPool& chunks, const CodecLimits& limits) {
  return std::make_unique<H1Client>(chunks, limits);
}

}  // namespace pillion::http
