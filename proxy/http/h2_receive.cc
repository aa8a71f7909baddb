// H2Session: what arrives.
#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/h2_session.h"

namespace pillion::http {

// === bytes ===

Expected<void> H2Session::feed(Chain& in) {
  PILLION_CHECK(!inside_);
  while (!in.empty() && !failed_ && !lost_) {
    in.move_front(in.front().size(), reading_);
    // The bodies cut off from reading_ may take the last reference to its chunk along; nghttp2 is still in it.
    Chain hold;
    hold.append_shared(reading_);
    const std::string_view slice = reading_.front();
    cursor_ = slice.data();
    inside_ = true;
    const ssize_t result = nghttp2_session_mem_recv(session_.get(), reinterpret_cast<const uint8_t*>(slice.data()),
                                                    sequence_.check(slice));
    inside_ = false;
    cursor_ = nullptr;
    reading_.clear();
    settle_input(result);
    if (const H2Sequence::Fault* fault = sequence_.fault()) fail(Code::bad_message, fault->what, fault->h2_code);
  }
  if (failed_ || lost_) in.clear();
  trim_memory(false);
  if (std::exchange(untold_, false)) return std::unexpected(*failed_);
  return {};
}

void H2Session::settle_input(ssize_t result) {
  crossed(guard_.on_queue(nghttp2_session_get_outbound_queue_size(session_.get())));
  if (crossed_ != nullptr) {
    fail(Code::flood, crossed_, NGHTTP2_ENHANCE_YOUR_CALM);
  } else if (result == NGHTTP2_ERR_FLOODED || result == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS) {
    const Flood which = result == NGHTTP2_ERR_FLOODED ? Flood::acknowledgements : Flood::continuations;
    fail(Code::flood, what_of(which), NGHTTP2_ENHANCE_YOUR_CALM);
  } else if (result < 0) {
    fail(Code::bad_message, nghttp2_strerror(static_cast<int>(result)), NGHTTP2_PROTOCOL_ERROR);
  }
}

int H2Session::crossed(const char* limit) {
  if (limit == nullptr) return 0;
  if (crossed_ == nullptr) crossed_ = limit;
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// === heads ===

int H2Session::on_begin_headers(const nghttp2_frame& frame) {
  H2Stream* stream = find(frame.hd.stream_id);
  if (role_ == Role::server && frame.headers.cat == NGHTTP2_HCAT_REQUEST) {
    guard_.on_stream_opened();
    if (stream_count_ >= kStreamsHardFactor * limits_.concurrent_streams_max) {
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    stream = &add(nullptr);
    stream->id_ = frame.hd.stream_id;
    stream->is_open_ = true;
    ++open_;
    nghttp2_session_set_stream_user_data(session_.get(), stream->id_, stream);
    stream->server_ = &events_->on_stream_begin(*stream);
  }
  if (stream != nullptr && stream->user() != nullptr) stream->block_.emplace(stream->user()->arena());
  return 0;
}

int H2Session::on_header(int32_t id, std::string_view name, std::string_view value) {
  H2Stream* const stream = find(id);
  if (stream == nullptr || !stream->block_) return 0;
  if (stream->block_->add(name, value, limits_)) return 0;
  const size_t hard = kHeadBytesHardFactor * size_t{limits_.head_bytes_max};
  return stream->block_->bytes() > hard ? crossed(what_of(Flood::header_bytes)) : 0;
}

void H2Session::on_headers(H2Stream& stream, bool end) {
  if (!stream.block_) {
    stream.in_over_ = stream.in_over_ || end;
    return;
  }
  if (stream.block_->is_too_large()) {
    refuse_head(stream, {.code = Code::head_too_large, .side = side(), .what = stream.block_->too_large()});
  } else if (stream.in_started_) {
    on_trailers(stream);
  } else if (role_ == Role::server) {
    on_request(stream, end);
  } else {
    on_response(stream, end);
  }
  stream.in_over_ = stream.in_over_ || end;
  stream.block_.reset();
}

// A server leaves the stream open, so that its user can answer.
void H2Session::refuse_head(H2Stream& stream, const Error& why) {
  tell_end(stream, why);
  if (role_ == Role::client) stream.submit_reset(NGHTTP2_PROTOCOL_ERROR);
}

void H2Session::on_request(H2Stream& stream, bool end) {
  Expected<RequestHead> head = stream.block_->take_request(end);
  if (!head) return refuse_head(stream, head.error());
  if (head->version == Version::http10 && !limits_.accept_http10) {
    return refuse_head(stream, {.code = Code::unsupported, .side = side(), .what = "HTTP/1.0 is not accepted"});
  }
  stream.in_started_ = true;
  stream.is_head_ = head->method == "HEAD";
  stream.is_connect_ = head->method == "CONNECT";
  stream.upgrade_ = head->upgrade;
  stream.undecided_ = stream.is_connect_ || !stream.upgrade_.empty();
  stream.server_->on_request_head(std::move(*head), end);
}

void H2Session::on_response(H2Stream& stream, bool end) {
  Expected<ResponseHead> head = stream.block_->take_response();
  if (!head) return refuse_head(stream, head.error());
  if (head->status < 200) {
    if (++stream.informational_ > kInformationalMax) {
      const Error why{.code = Code::bad_message, .side = side(), .what = "too many informational responses"};
      return refuse_head(stream, why);
    }
    stream.client_->on_informational(std::move(*head));
    return;
  }
  stream.in_started_ = true;
  if (stream.undecided_) on_switch(stream, *head);
  stream.client_->on_response_head(std::move(*head), end);
}

// An upgrade that is agreed to looks as on HTTP/1; one that is refused leaves a request without a body.
void H2Session::on_switch(H2Stream& stream, ResponseHead& head) {
  stream.undecided_ = false;
  if (head.status / 100 == 2) {
    head.content_length.reset();
    if (!stream.is_connect_) {
      head.status = 101;
      head.upgrade = head.headers.arena().copy(stream.upgrade_);
    }
  } else {
    stream.drop_output();
    stream.out_ended_ = true;
  }
  (void)nghttp2_session_resume_data(session_.get(), stream.id_);
}

void H2Session::on_trailers(H2Stream& stream) {
  Expected<HeaderMap> trailers = stream.block_->take_trailers();
  if (!trailers) {
    Error why = trailers.error();
    why.side = side();
    tell_end(stream, why);
    return stream.submit_reset(NGHTTP2_PROTOCOL_ERROR);
  }
  stream.user()->on_trailers(std::move(*trailers));
}

// === the other frames ===

int H2Session::on_frame_recv(const nghttp2_frame& frame) {
  H2Stream* const stream = find(frame.hd.stream_id);
  const bool end = (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame.hd.type) {
    case NGHTTP2_HEADERS:
      if (stream != nullptr) on_headers(*stream, end);
      return 0;
    case NGHTTP2_DATA:
      if (stream == nullptr || !end) return 0;
      stream->in_over_ = true;
      if (StreamEvents* user = stream->user()) user->on_body({}, true);
      return 0;
    case NGHTTP2_RST_STREAM:
      if (stream != nullptr) stream->reset_received_ = true;
      return role_ == Role::server ? crossed(guard_.on_reset_received()) : 0;
    case NGHTTP2_SETTINGS:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) == 0) settings_received_ = true;
      return 0;
    case NGHTTP2_PING:
      if ((frame.hd.flags & NGHTTP2_FLAG_ACK) != 0) awaits_pong_ = false;
      return 0;
    case NGHTTP2_GOAWAY: goaway_received_ = true; return 0;
    default: return 0;
  }
}

int H2Session::on_data(int32_t id, const char* data, size_t length) {
  // The slice is cut where nghttp2 says; the octets between two bodies are frame heads and padding.
  const auto skipped = static_cast<size_t>(data - cursor_);
  Chain body;
  reading_.drain(skipped);
  reading_.move_front(length, body);
  cursor_ = data + length;
  H2Stream* const stream = find(id);
  StreamEvents* const user = stream != nullptr ? stream->user() : nullptr;
  if (user == nullptr) {
    nghttp2_session_consume(session_.get(), id, length);
    return 0;
  }
  stream->unconsumed_ += length;
  if (gives_connection_window_at_once()) nghttp2_session_consume_connection(session_.get(), length);
  user->on_body(std::move(body), false);
  return 0;
}

// === ends ===

Error H2Session::error_of_close(const H2Stream& stream, uint32_t h2_code) const {
  const bool is_client = role_ == Role::client;
  if (is_client && !stream.head_on_wire_) {
    return {.code = Code::refused_stream, .side = side(), .retry = Retry::safe, .what = "the request was not sent"};
  }
  if (is_client && h2_code == NGHTTP2_REFUSED_STREAM) {
    const Retry retry = stream.in_started_ ? Retry::never : Retry::safe;
    return {.code = Code::refused_stream, .side = side(), .retry = retry, .what = "the peer refused the stream"};
  }
  if (stream.reset_received_) return {.code = Code::stream_reset, .side = side(), .what = "the peer reset the stream"};
  if (h2_code == NGHTTP2_FLOW_CONTROL_ERROR) {
    return {.code = Code::flow_control_error, .side = side(), .what = "the peer sent more than its window"};
  }
  if (h2_code == NGHTTP2_NO_ERROR)
    return {.code = Code::stream_reset, .side = side(), .what = "the stream ended early"};
  return {.code = Code::bad_message, .side = side(), .what = "a message that breaks the protocol"};
}

void H2Session::on_close(H2Stream& stream, uint32_t h2_code) {
  const bool is_complete = h2_code == NGHTTP2_NO_ERROR && stream.in_over_ && stream.out_over_;
  if (is_complete) {
    guard_.on_stream_completed();
  } else {
    tell_end(stream, error_of_close(stream, h2_code));
    stream.out_.clear();
  }
  stream.is_open_ = false;
  --open_;
  if (!stream.detached_) return;
  forget(stream);
}

void H2Session::tell_end(H2Stream& stream, const Error& why) {
  StreamEvents* const user = stream.user();
  stream.server_ = nullptr;
  stream.client_ = nullptr;
  stream.block_.reset();
  if (why.side == Side::downstream && !failed_ && !lost_ &&
      (why.code == Code::bad_message || why.code == Code::flow_control_error || why.code == Code::head_too_large)) {
    count_peer_error(stream);
  }
  if (user != nullptr) user->on_reset(why);
}

// The connection is over. A request whose head never went out may go elsewhere.
void H2Session::tell_all(const Error& why) {
  for (H2Stream& stream : streams_) {
    Error told = why;
    if (role_ == Role::client) {
      told.retry = stream.in_started_ ? Retry::never : stream.head_on_wire_ ? Retry::if_reused : Retry::safe;
    }
    tell_end(stream, told);
  }
}

void H2Session::note_failure(Code code, const char* what) {
  if (failed_) return;
  failed_ = Error{.code = code, .side = side(), .what = what};
  untold_ = true;
  tell_all(*failed_);
}

// nghttp2 is not to be entered again; our own GOAWAY says why.
void H2Session::fail(Code code, const char* what, uint32_t h2_code) {
  if (failed_ || lost_) return;
  broken_ = goaway_due_ = true;
  failed_code_ = h2_code;
  note_failure(code, what);
}

// The limit of MadeYouReset: a stream counts when its error is found, since its user may reset it before we do.
void H2Session::count_peer_error(H2Stream& stream) {
  if (role_ == Role::server && !std::exchange(stream.peer_error_, true)) crossed(guard_.on_reset_sent());
}

void H2Session::lose(const Error& why) {
  PILLION_CHECK(!inside_);
  lost_ = true;
  tell_all(why);
}

}  // namespace pillion::http
