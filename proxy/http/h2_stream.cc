#include "proxy/http/h2_stream.h"

#include <algorithm>
#include <utility>

#include "proxy/base/check.h"
#include "proxy/http/h2_session.h"
#include "proxy/http/validate.h"

namespace pillion::http {
namespace {

constexpr const char* kTooShort = "the body is shorter than its Content-Length";

uint32_t h2_code_of(Code why, bool is_server) {
  switch (why) {
    case Code::refused_stream:
    case Code::draining: return NGHTTP2_REFUSED_STREAM;
    case Code::bad_message:
    case Code::body_length_mismatch: return NGHTTP2_PROTOCOL_ERROR;
    case Code::stream_reset:
    case Code::downstream_gone:
    case Code::local_close: return NGHTTP2_CANCEL;
    default: return is_server ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL;
  }
}

}  // namespace

H2Stream::H2Stream(H2Session& session, ServerStreamEvents* server, ClientStreamEvents* client)
    : session_(session), server_(server), client_(client) {}

StreamEvents* H2Stream::user() const {
  if (server_ != nullptr) return server_;
  return client_;
}

bool H2Stream::is_writable() const {
  PILLION_CHECK(!session_.inside_);
  return (is_open_ || held_ != nullptr) && !detached_ && !fault_ && !out_ended_;
}

// === heads ===

void H2Stream::send_informational(const ResponseHead& head) {
  if (!is_writable() || head_sent_) return;
  if (head.status < 100 || head.status > 199 || head.status == 101 || find_fault(head) != nullptr) return;
  H2Fields& fields = session_.fields_;
  fields.set_response(head, false);
  nghttp2_submit_headers(session_.session_.get(), NGHTTP2_FLAG_NONE, id_, nullptr, fields.data(), fields.size(),
                         nullptr);
}

bool H2Stream::is_agreement(const ResponseHead& head) const {
  if (!undecided_) return false;
  if (is_connect_) return head.status / 100 == 2;
  return head.status == 101 && list_has(upgrade_, head.upgrade);
}

const char* H2Stream::check_head(const ResponseHead& head, bool end) const {
  if (const char* fault = find_fault(head)) return fault;
  if (head.status < 200 && !is_agreement(head)) return "an informational status as the response";
  // A 2xx without the upgrade would be taken for the agreement, which is a 200 here (CVE-2024-23326).
  if (undecided_ && head.status / 100 == 2 && !is_agreement(head)) return "a 2xx that does not agree to the upgrade";
  if (end && head.content_length.value_or(0) > 0 && !is_head_ && head.status != 304) {
    return kTooShort;
  }
  return nullptr;
}

void H2Stream::send_head(const ResponseHead& head, bool end) {
  if (!is_writable() || head_sent_) return;
  if (const char* fault = check_head(head, end)) return set_fault(Code::bad_message, fault);
  head_sent_ = true;
  const bool starts_tunnel = is_agreement(head);
  undecided_ = false;
  bodiless_ = !starts_tunnel && has_no_body(is_head_ ? "HEAD" : "", head.status);
  if (!bodiless_ && !starts_tunnel) length_left_ = head.content_length;
  out_ended_ = end;
  H2Fields& fields = session_.fields_;
  fields.set_response(head, starts_tunnel);
  nghttp2_data_provider body{.source = {.ptr = this}, .read_callback = read_callback};
  nghttp2_submit_response(session_.session_.get(), id_, fields.data(), fields.size(), end ? nullptr : &body);
}

void H2Stream::send_head(const RequestHead& head, bool end) {
  PILLION_CHECK(!session_.inside_);
  if (detached_ || client_ == nullptr || head_sent_ || fault_) return;
  if (const char* fault = find_fault(head)) return set_fault(Code::bad_message, fault);
  if (!head.upgrade.empty() && !is_protocol(head.upgrade)) {
    return set_fault(Code::unsupported, "extended CONNECT with more than one protocol");
  }
  if (end && head.content_length.value_or(0) > 0) return set_fault(Code::bad_message, kTooShort);
  head_sent_ = true;
  if (!head.upgrade.empty() && !session_.settings_received_) {
    held_ = std::make_unique<HeldRequest>(head);
    undecided_ = true;
    session_.waiting_.push_back(*this);
    return;
  }
  submit_request(head, end);
}

H2Stream::HeldRequest::HeldRequest(const RequestHead& from) : head(arena) {
  head.method = arena.copy(from.method);
  head.scheme = arena.copy(from.scheme);
  head.authority = arena.copy(from.authority);
  head.path = arena.copy(from.path);
  head.upgrade = arena.copy(from.upgrade);
  head.version = from.version;
  head.te_trailers = from.te_trailers;
  for (const Header& h : from.headers) head.headers.add_copy(h.name, h.value);
}

void H2Stream::submit_request(const RequestHead& head, bool end) {
  nghttp2_session* const session = session_.session_.get();
  // RFC 8441 4: only to a server that offers it.
  if (!head.upgrade.empty() &&
      nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 0) {
    return set_fault(Code::upgrade_refused, "the server does not offer extended CONNECT");
  }
  H2Fields& fields = session_.fields_;
  fields.set_request(head);
  nghttp2_data_provider body{.source = {.ptr = this}, .read_callback = read_callback};
  is_connect_ = head.method == "CONNECT";
  is_head_ = head.method == "HEAD";
  upgrade_ = head.upgrade;
  undecided_ = is_connect_ || !upgrade_.empty();
  const bool ends = end && !undecided_;
  const int32_t id =
      nghttp2_submit_request(session, nullptr, fields.data(), fields.size(), ends ? nullptr : &body, this);
  if (id < 0) {
    set_fault(Code::resource_limit, "no more streams on this connection");
    fault_->retry = Retry::safe;
    return;
  }
  id_ = id;
  is_open_ = true;
  --session_.unsubmitted_;
  ++session_.open_;
  out_ended_ = out_ended_ || ends;
  if (!undecided_) length_left_ = head.content_length;
}

// === bodies ===

void H2Stream::send_body(Chain&& data, bool end) {
  if (!is_writable() || !head_sent_) return data.clear();
  if (bodiless_) data.clear();
  if (!take_length(data.size(), end)) return data.clear();
  out_.append(std::move(data));
  out_ended_ = end;
  if (out_.size() > session_.limits_.stream_buffer_bytes) congested_ = true;
  resume();
}

// False if the body is not as long as its head said.
bool H2Stream::take_length(size_t bytes, bool end) {
  if (!length_left_) return true;
  if (bytes > *length_left_) {
    set_fault(Code::body_length_mismatch, "the body is longer than its Content-Length");
    return false;
  }
  *length_left_ -= bytes;
  if (!end || *length_left_ == 0) return true;
  set_fault(Code::body_length_mismatch, kTooShort);
  return false;
}

void H2Stream::send_trailers(const HeaderMap& trailers) {
  if (!is_writable() || !head_sent_) return;
  if (const char* fault = find_fault(trailers)) return set_fault(Code::bad_message, fault);
  if (!take_length(0, true)) return;
  // They wait for the body to go out, perhaps longer than the user's arena lives.
  trailers_ = std::make_unique<Trailers>();
  for (const Header& h : trailers) {
    if (may_be_trailer(h)) trailers_->fields.add_copy(h.name, h.value);
  }
  if (trailers_->fields.size() == 0) trailers_.reset();
  out_ended_ = true;
  resume();
}

void H2Stream::resume() {
  // Fails when the data source is not waiting, and then there is nothing to wake.
  if (!undecided_) (void)nghttp2_session_resume_data(session_.session_.get(), id_);
}

ssize_t H2Stream::read_callback(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                                nghttp2_data_source* source, void*) {
  return static_cast<H2Stream*>(source->ptr)->read(length, flags);
}

ssize_t H2Stream::read(size_t length, uint32_t* flags) {
  if (undecided_) return NGHTTP2_ERR_DEFERRED;  // bytes of a tunnel that is not agreed to
  const size_t n = std::min(length, out_.size());
  if (n == 0 && !out_ended_) return NGHTTP2_ERR_DEFERRED;
  promised_ = n;
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (out_ended_ && n == out_.size()) {
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (trailers_ != nullptr) {
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      H2Fields& fields = session_.fields_;
      fields.set_trailers(trailers_->fields);
      if (nghttp2_submit_trailer(session_.session_.get(), id_, fields.data(), fields.size()) != 0) {
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
      }
      trailers_.reset();
    }
  }
  return static_cast<ssize_t>(n);
}

// All but what a frame that nghttp2 has begun will fetch: the transport may have been full in the middle of it.
void H2Stream::drop_output() {
  Chain kept;
  out_.move_front(promised_, kept);
  out_ = std::move(kept);
}

void H2Stream::consume(size_t bytes) {
  PILLION_CHECK(!session_.inside_);
  const size_t n = std::min(bytes, unconsumed_);
  if (n == 0) return;
  unconsumed_ -= n;
  nghttp2_session* const session = session_.session_.get();
  if (session_.gives_connection_window_at_once()) {
    if (is_open_) nghttp2_session_consume_stream(session, id_, n);
  } else if (is_open_) {
    nghttp2_session_consume(session, id_, n);
  } else {
    nghttp2_session_consume_connection(session, n);
  }
}

// === failure and teardown ===

void H2Stream::set_fault(Code code, const char* what) {
  fault_ = Error{.code = code, .side = Side::local, .what = what};
  held_.reset();
  ListNode<H2DueTag>::unlink();  // it may have been waiting
  session_.faulty_.push_back(*this);
}

void H2Stream::submit_reset(uint32_t h2_code) {
  if (session_.broken_ || session_.lost_ || std::exchange(reset_by_user_, true)) return;
  nghttp2_submit_rst_stream(session_.session_.get(), NGHTTP2_FLAG_NONE, id_, h2_code);
}

void H2Stream::reset(Code why) {
  PILLION_CHECK(!session_.inside_ && !detached_);
  consume(unconsumed_);
  const bool is_server = session_.role_ == H2Session::Role::server;
  if (is_open_) submit_reset(h2_code_of(why, is_server));
  drop_output();
  session_.drop(*this);
}

void H2Stream::detach() {
  PILLION_CHECK(!session_.inside_ && !detached_);
  consume(unconsumed_);
  const bool is_client = session_.role_ == H2Session::Role::client;
  if (is_open_ && (!out_ended_ || (!in_over_ && is_client))) {
    // A response that lacks its end must not look whole; one that nobody reads need not be sent.
    submit_reset(is_client ? NGHTTP2_CANCEL : NGHTTP2_INTERNAL_ERROR);
    drop_output();
  } else if (is_open_ && !in_over_ && out_over_) {
    submit_reset(NGHTTP2_NO_ERROR);  // RFC 9113 8.1; while the response is on its way, on_frame_sent() does this
  }
  session_.drop(*this);
}

}  // namespace pillion::http
