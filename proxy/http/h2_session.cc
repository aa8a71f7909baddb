#include "proxy/http/h2_session.h"

#include <algorithm>
#include <new>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/detect.h"

namespace pillion::http {

// === nghttp2 ===

struct H2Session::Glue {
  static H2Session& of(void* user_data) { return *static_cast<H2Session*>(user_data); }
  static std::string_view view(nghttp2_rcbuf* buffer) {
    const nghttp2_vec v = nghttp2_rcbuf_get_buf(buffer);
    return {reinterpret_cast<const char*>(v.base), v.len};
  }

  static int on_begin_frame(nghttp2_session*, const nghttp2_frame_hd* hd, void* self) {
    return of(self).crossed(of(self).guard_.on_frame(hd->type, hd->flags, hd->length));
  }
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    return of(self).on_begin_headers(*frame);
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf* name, nghttp2_rcbuf* value, uint8_t,
                       void* self) {
    return of(self).on_header(frame->hd.stream_id, view(name), view(value));
  }
  // Without this callback nghttp2 drops invalid fields in silence and lets the message pass.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame* frame, nghttp2_rcbuf*, nghttp2_rcbuf*, uint8_t,
                               void* self) {
    H2Session& session = of(self);
    if (H2Stream* stream = session.find(frame->hd.stream_id)) {
      session.tell_end(*stream, {.code = Code::bad_message, .side = session.side(), .what = "an invalid header field"});
    }
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    return of(self).on_frame_recv(*frame);
  }
  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int reason, void* self) {
    H2Session& session = of(self);
    H2Stream* const stream = session.find(frame->hd.stream_id);
    if (stream != nullptr && reason != NGHTTP2_ERR_STREAM_CLOSED) {
      const Code code = reason == NGHTTP2_ERR_FLOW_CONTROL ? Code::flow_control_error : Code::bad_message;
      session.tell_end(*stream, {.code = code, .side = session.side(), .what = "a frame that breaks the protocol"});
    }
    return 0;
  }
  static int on_data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t length, void* self) {
    return of(self).on_data(id, reinterpret_cast<const char*>(data), length);
  }
  // Never fails: 1.52 leaks when it does (CVE-2023-35945).
  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t code, void* self) {
    if (H2Stream* stream = of(self).find(id)) of(self).on_close(*stream, code);
    return 0;
  }
  static int on_send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head, size_t length,
                          nghttp2_data_source* source, void* self) {
    return of(self).on_send_data(*static_cast<H2Stream*>(source->ptr), head, length);
  }
  static int on_frame_send(nghttp2_session*, const nghttp2_frame* frame, void* self) {
    of(self).on_frame_sent(*frame);
    return 0;
  }
  static int on_frame_not_send(nghttp2_session*, const nghttp2_frame* frame, int, void* self) {
    of(self).on_frame_not_sent(*frame);
    return 0;
  }

  static nghttp2_session_callbacks* make_callbacks() {
    nghttp2_session_callbacks* c = nullptr;
    PILLION_CHECK(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(c, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_send_data_callback(c, on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(c, on_frame_not_send);
    return c;
  }

  static nghttp2_session* make_session(H2Session& self) {
    nghttp2_option* option = nullptr;
    PILLION_CHECK(nghttp2_option_new(&option) == 0);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(option, kPeerStreamsBeforeSettings);
    nghttp2_option_set_max_settings(option, kSettingsEntriesMax);
    nghttp2_option_set_max_outbound_ack(option, self.limits_.outbound_control_frames_max);
    nghttp2_option_set_max_continuations(option, kContinuationReadsMax);
    nghttp2_option_set_max_send_header_block_length(option, kSendHeadBytesMax);
    nghttp2_session_callbacks* const callbacks = make_callbacks();
    nghttp2_mem* const memory = self.memory_.for_nghttp2();
    nghttp2_session* session = nullptr;
    const int result = self.role_ == Role::server
                           ? nghttp2_session_server_new3(&session, callbacks, &self, option, memory)
                           : nghttp2_session_client_new3(&session, callbacks, &self, option, memory);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    PILLION_CHECK(result == 0);
    return session;
  }
};

// === construction ===

H2Session::H2Session(Role role, ChunkPool& chunks, ServerCodecEvents* events, const CodecLimits& limits)
    : role_(role),
      chunks_(chunks),
      events_(events),
      limits_(limits),
      guard_(limits_),
      sequence_(role == Role::server, role == Role::server ? kH2Preface.size() : 0) {
  session_.reset(Glue::make_session(*this));
  submit_settings();
}

H2Session::~H2Session() {
  session_.reset();  // before the streams that it points to
}

void H2Session::submit_settings() {
  nghttp2_settings_entry entries[6];
  size_t n = 0;
  auto add = [&](int32_t id, uint32_t value) { entries[n++] = {id, value}; };
  add(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits_.stream_window_bytes);
  add(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.head_bytes_max);
  add(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1);
  if (role_ == Role::server) {
    add(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.concurrent_streams_max);
    if (limits_.extended_connect) add(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1);
  } else {
    add(NGHTTP2_SETTINGS_ENABLE_PUSH, 0);
  }
  PILLION_CHECK(nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, entries, n) == 0);
  const auto window = static_cast<int32_t>(std::min<uint32_t>(limits_.connection_window_bytes, INT32_MAX));
  PILLION_CHECK(nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0, window) == 0);
}

// === streams ===

static_assert(sizeof(H2Stream) + 2 * sizeof(void*) <= H2Memory::kClasses * H2Memory::kStepBytes);  // or it is not kept

H2Stream* H2Session::find(int32_t id) const {
  return id == 0 ? nullptr : static_cast<H2Stream*>(nghttp2_session_get_stream_user_data(session_.get(), id));
}

H2Stream& H2Session::add(ClientStreamEvents* client) {
  streams_peak_ = std::max(streams_peak_, ++stream_count_);
  ++active_;
  return streams_.push_back(std::unique_ptr<H2Stream>(new (memory_) H2Stream(*this, nullptr, client)));
}

// The user left. What nghttp2 still has stays until it is closed there.
void H2Session::drop(H2Stream& stream) {
  --active_;
  stream.detached_ = true;
  stream.server_ = nullptr;
  stream.client_ = nullptr;
  stream.block_.reset();
  stream.fault_.reset();
  stream.held_.reset();
  static_cast<ListNode<H2DueTag>&>(stream).unlink();
  // After a failure nghttp2 is not entered again, so that nothing there can reach the stream.
  if (stream.is_open_ && !broken_ && !lost_) return;
  if (stream.id_ == 0) --unsubmitted_;
  forget(stream);
}

void H2Session::forget(H2Stream& stream) {
  streams_.take(stream);
  --stream_count_;
}

// After a burst of many streams the next one mostly follows, and what they take is a hundred allocations: it is kept
// for a while. What a few have left is given back at once.
void H2Session::trim_memory(bool at_once) {
  if (stream_count_ * kTrimFraction > streams_peak_ || (!at_once && streams_peak_ > kTrimAtOnceMax)) return;
  memory_.trim();
  streams_peak_ = stream_count_;
}

H2Stream& H2Session::start(ClientStreamEvents& events) {
  PILLION_CHECK(can_start());
  ++unsubmitted_;
  return add(&events);
}

bool H2Session::can_start() const {
  return !is_going_away() && open_ + unsubmitted_ < streams_max() &&
         stream_count_ < kStreamsHardFactor * streams_max() &&
         nghttp2_session_check_request_allowed(session_.get()) != 0;
}

// For a client: what the peer allows, and what is asked of us (the cluster's max_concurrent_streams).
uint32_t H2Session::streams_max() const {
  const uint32_t allowed = nghttp2_session_get_remote_settings(session_.get(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return role_ == Role::client ? std::min(allowed, limits_.concurrent_streams_max) : allowed;
}

void H2Session::ping() {
  if (awaits_pong_ || is_going_away()) return;
  awaits_pong_ = nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, nullptr) == 0;
}

void H2Session::send_goaway(bool last) {
  if (failed_ || lost_) return;
  if (!last) {
    nghttp2_submit_shutdown_notice(session_.get());
    return;
  }
  goaway_sent_ = true;
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_.get()),
                        NGHTTP2_NO_ERROR, nullptr, 0);
}

// === out ===

bool H2Session::wants_produce() const {
  if (lost_) return false;
  if (goaway_due_ || !faulty_.empty() || (settings_received_ && !broken_ && !waiting_.empty())) return true;
  return !broken_ && nghttp2_session_want_write(session_.get()) != 0;
}

bool H2Session::is_finished() const {
  if (lost_) return true;
  if (broken_) return !goaway_due_;
  return nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
}

// A peer that does not take what its frames made us answer is not heard until it does.
bool H2Session::wants_pause() const {
  return !failed_ && !lost_ &&
         nghttp2_session_get_outbound_queue_size(session_.get()) > limits_.outbound_frames_max / 2;
}

void H2Session::produce(Chain& out, size_t budget) {
  PILLION_CHECK(!inside_);
  settle_due();
  if (lost_) return;
  if (!broken_) {
    inside_ = true;
    writing_ = &out;
    writing_until_ = out.size() + budget;
    while (out.size() < writing_until_) {
      const uint8_t* bytes = nullptr;
      const ssize_t n = nghttp2_session_mem_send(session_.get(), &bytes);
      if (n < 0) fail(Code::internal, "writing frames", NGHTTP2_INTERNAL_ERROR);
      if (n <= 0) break;
      out.append(chunks_, {reinterpret_cast<const char*>(bytes), static_cast<size_t>(n)});
    }
    writing_ = nullptr;
    inside_ = false;
    if (crossed_ != nullptr && !failed_) fail(Code::flood, crossed_, NGHTTP2_ENHANCE_YOUR_CALM);
  }
  if (goaway_due_) put_goaway(out);
  trim_memory(false);
}

int H2Session::on_send_data(H2Stream& stream, const uint8_t* head, size_t length) {
  constexpr size_t kFrameHeadBytes = 9;
  if (writing_->size() >= writing_until_) return NGHTTP2_ERR_WOULDBLOCK;
  guard_.on_data_sent();
  writing_->append(chunks_, {reinterpret_cast<const char*>(head), kFrameHeadBytes});
  stream.out_.move_front(length, *writing_);
  stream.promised_ = 0;
  if (stream.congested_ && stream.out_.size() <= limits_.stream_buffer_bytes / 2) {
    stream.congested_ = false;
    if (StreamEvents* user = stream.user()) user->on_drained();
  }
  return 0;
}

void H2Session::on_frame_sent(const nghttp2_frame& frame) {
  H2Stream* const stream = find(frame.hd.stream_id);
  if (frame.hd.type == NGHTTP2_RST_STREAM) {
    const uint32_t code = frame.rst_stream.error_code;
    const bool is_ours = stream != nullptr && stream->reset_by_user_;
    if (!is_ours && code != NGHTTP2_NO_ERROR && code != NGHTTP2_REFUSED_STREAM && code != NGHTTP2_CANCEL) {
      if (stream != nullptr) {
        count_peer_error(*stream);
      } else if (role_ == Role::server) {
        crossed(guard_.on_reset_sent());
      }
    }
    return;
  }
  // An error of the connection that nghttp2 found by itself. What was queued before it is out, and nothing follows.
  if (frame.hd.type == NGHTTP2_GOAWAY && frame.goaway.error_code != NGHTTP2_NO_ERROR) {
    const bool flow = frame.goaway.error_code == NGHTTP2_FLOW_CONTROL_ERROR;
    return note_failure(flow ? Code::flow_control_error : Code::bad_message, "an error of the connection");
  }
  if (stream == nullptr) return;
  if (frame.hd.type == NGHTTP2_HEADERS) stream->head_on_wire_ = true;
  const bool ends = (frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) &&
                    (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (!ends) return;
  stream->out_over_ = true;
  // RFC 9113 8.1: the response is complete and the rest of the request is not needed.
  if (role_ == Role::server && stream->detached_ && !stream->in_over_) stream->submit_reset(NGHTTP2_NO_ERROR);
}

void H2Session::on_frame_not_sent(const nghttp2_frame& frame) {
  H2Stream* const stream = find(frame.hd.stream_id);
  if (stream == nullptr || frame.hd.type != NGHTTP2_HEADERS || role_ == Role::client) return;
  tell_end(*stream, {.code = Code::internal, .side = Side::local, .what = "sending a head"});
  if (stream->is_open_ && !stream->reset_by_user_) stream->submit_reset(NGHTTP2_INTERNAL_ERROR);
}

void H2Session::settle_due() {
  while (settings_received_ && !broken_ && !lost_) {
    H2Stream* const stream = waiting_.pop_front();
    if (stream == nullptr) break;
    const auto held = std::move(stream->held_);
    stream->submit_request(held->head, false);
  }
  while (H2Stream* stream = faulty_.pop_front()) tell_end(*stream, *stream->fault_);
}

// nghttp2 may no longer be asked once it has failed, so the last frame is written by hand (RFC 9113 6.8).
void H2Session::put_goaway(Chain& out) {
  goaway_due_ = false;
  const auto last = static_cast<uint32_t>(std::max(0, nghttp2_session_get_last_proc_stream_id(session_.get())));
  char frame[17] = {0, 0, 8, NGHTTP2_GOAWAY};
  for (int i = 0; i < 4; ++i) {
    frame[9 + i] = static_cast<char>(last >> (24 - 8 * i));
    frame[13 + i] = static_cast<char>(failed_code_ >> (24 - 8 * i));
  }
  out.append(chunks_, {frame, sizeof frame});
}

}  // namespace pillion::http
