#include "tests/sim/client.h"

#include <fmt/format.h>

#include <charconv>

#include "tests/sim/pattern.h"

namespace pillion::sim {
namespace {

std::optional<uint64_t> number(const http::HeaderMap& headers, std::string_view name) {
  const http::Header* h = headers.find(name);
  if (h == nullptr) return std::nullopt;
  uint64_t n = 0;
  std::from_chars(h->value.data(), h->value.data() + h->value.size(), n);
  return n;
}

}  // namespace

ClientRequest::ClientRequest(ClientConnection& connection, RequestPlan plan)
    : connection_(connection), plan_(std::move(plan)) {}

void ClientRequest::begin(http::ClientStream& stream) {
  stream_ = &stream;
  http::RequestHead head(arena_);
  head.method = plan_.method;
  head.scheme = "http";
  head.authority = "sim";
  head.path = plan_.path;
  request_ended_ = plan_.body_bytes == 0;
  if (plan_.body_bytes > 0 && !plan_.is_chunked) head.content_length = plan_.body_bytes;
  stream_->send_head(head, request_ended_);
  patience_timer_.start_after(connection_.executor.timers, plan_.patience);
  connection_.executor.ready(*this);
}

// === request ===

void ClientRequest::send_pieces() {
  while (!request_ended_ && !piece_timer_.is_armed() && !stream_->is_congested()) {
    const size_t n = std::min(plan_.piece_bytes, plan_.body_bytes - sent_);
    const bool is_last = sent_ + n == plan_.body_bytes;
    if (is_last && plan_.never_ends) return;
    std::string bytes(n, ' ');
    for (size_t i = 0; i < n; ++i) bytes[i] = pattern_byte(plan_.id, sent_ + i);
    Chain piece;
    piece.append(connection_.executor.chunks, bytes);
    sent_ += n;
    request_ended_ = is_last;
    stream_->send_body(std::move(piece), is_last);
    connection_.touch();
    if (plan_.between_pieces.count() > 0) {
      piece_timer_.start_after(connection_.executor.timers, plan_.between_pieces);
    }
  }
}

void ClientRequest::on_piece_due() {
  connection_.executor.ready(*this);
}
void ClientRequest::on_drained() {
  connection_.executor.ready(*this);
}

// === response ===

void ClientRequest::on_response_head(http::ResponseHead&& head, bool end) {
  if (response_ended_ || status_ != 0) {
    connection_.ledger.violate(Invariant::ends_once, fmt::format("{} has two responses", plan_.path));
  }
  status_ = head.status;
  origin_id_ = number(head.headers, "x-sim-id");
  origin_size_ = number(head.headers, "x-sim-size");
  if (end) ended();
}

void ClientRequest::on_body(Chain&& data, bool end) {
  if (origin_id_) body_is_right_ = body_is_right_ && is_pattern(plan_.id, received_, data.to_string());
  received_ += data.size();
  unconsumed_ += data.size();
  data.clear();
  connection_.executor.ready(*this);
  if (end) ended();
}

void ClientRequest::ended() {
  response_ended_ = true;
  connection_.executor.ready(*this);
}

void ClientRequest::on_reset(const Error&) {
  was_reset_ = true;
  connection_.executor.ready(*this);
}

void ClientRequest::on_impatient() {
  is_impatient_ = true;
  connection_.executor.ready(*this);
}

void ClientRequest::check_whole() {
  if (!origin_id_) return;  // the proxy's own answer
  const uint64_t size = plan_.method == "HEAD" ? 0 : origin_size_.value_or(0);
  if (*origin_id_ == plan_.id && body_is_right_ && received_ == size) return;
  connection_.ledger.violate(Invariant::whole_responses,
                             fmt::format("{} {} has {} bytes of {}, {}, from the answer to {}", plan_.method,
                                         plan_.path, received_, size, body_is_right_ ? "right" : "wrong", *origin_id_));
}

void ClientRequest::step() {
  if (is_over_) return;
  if (response_ended_) {
    check_whole();
    if (!connection_.is_gone()) {
      if (!was_reset_ && unconsumed_ > 0) stream_->consume(unconsumed_);
      stream_->detach();
    }
    return finish(true, false);
  }
  if (was_reset_) {
    if (!connection_.is_gone()) stream_->detach();
    return finish(false, connection_.is_gone());
  }
  if (is_impatient_) {
    stream_->reset(Code::local_close);
    return finish(false, true);
  }
  if (unconsumed_ > 0) {
    stream_->consume(std::exchange(unconsumed_, 0));
    connection_.touch();
  }
  send_pieces();
}

void ClientRequest::finish(bool whole, bool gave_up) {
  is_over_ = true;
  piece_timer_.stop();
  patience_timer_.stop();
  connection_.network.world.trace(0x10 + (whole ? 1 : 0), plan_.id << 16 | status_);
  connection_.ledger.on_end(plan_.id, whole, gave_up);
  connection_.touch();
  connection_.forget(*this);
}

}  // namespace pillion::sim
