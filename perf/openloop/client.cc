#include "perf/openloop/client.h"

#include <strings.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace openloop {

void spoil(const std::string& why) {
  fprintf(stderr, "perf_load: %s\n", why.c_str());
  exit(1);
}

Http1Client::Http1Client(Poller& poller, const Target& target, Driver& driver)
    : target_(target), driver_(driver), link_(poller, *this) {
  request_ = "GET " + target.path + " HTTP/1.1\r\nHost: " + target.authority + "\r\n";
  for (const std::string& header : target.headers) request_ += header + "\r\n";
  request_ += target.close_after_answer ? "Connection: close\r\n\r\n" : "\r\n";
}

void Http1Client::connect(SSL_SESSION* session) {
  head_.clear();
  waiting_ = in_body_ = false;
  link_.connect(target_.address, target_.context, session);
}

void Http1Client::send(uint64_t intended) {
  waiting_ = true;
  intended_ = intended;
  link_.write(request_);
}

// True when there is a whole head, and it is one that this client takes: 200 with a length.
bool Http1Client::parse_head() {
  size_t end = head_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  bool has_length = false;
  for (size_t at = head_.find("\r\n"); at < end;) {
    size_t next = head_.find("\r\n", at + 2);
    constexpr std::string_view kName = "content-length: ";
    if (next - at - 2 > kName.size() && strncasecmp(head_.data() + at + 2, kName.data(), kName.size()) == 0) {
      const char* digits = head_.data() + at + 2 + kName.size();
      has_length = std::from_chars(digits, head_.data() + next, body_left_).ec == std::errc();
    }
    at = next;
  }
  if (!head_.starts_with("HTTP/1.1 200 ") || !has_length) {
    spoil("not an answer of 200 with a length: " + head_.substr(0, end));
  }
  head_.erase(0, end + 4);
  in_body_ = true;
  return true;
}

void Http1Client::on_bytes(std::string_view bytes) {
  if (!waiting_) spoil("bytes that nobody asked for");
  if (!in_body_) {
    head_ += bytes;
    if (!parse_head()) return;
    bytes = head_;
  }
  if (bytes.size() > body_left_) spoil("more body than was announced");
  body_left_ -= bytes.size();
  head_.clear();
  if (body_left_ > 0) return;
  waiting_ = in_body_ = false;
  driver_.on_answer(*this, intended_);
}

void Http1Client::on_closed(const std::string& why) {
  if (!why.empty()) spoil(why);
  if (waiting_) spoil("closed before the answer");
  driver_.on_ended(*this);
}

namespace {

int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size, const uint8_t* value,
              size_t value_size, uint8_t, void* client) {
  std::string_view field(reinterpret_cast<const char*>(name), name_size);
  if (frame->hd.type == NGHTTP2_HEADERS && field == ":status")
    static_cast<Http2Client*>(client)->on_status({reinterpret_cast<const char*>(value), value_size});
  return 0;
}

int on_stream_close(nghttp2_session*, int32_t stream, uint32_t error, void* client) {
  static_cast<Http2Client*>(client)->on_stream_closed(stream, error);
  return 0;
}

nghttp2_nv field(const std::string& name, const std::string& value) {
  auto bytes = [](const std::string& s) { return reinterpret_cast<uint8_t*>(const_cast<char*>(s.data())); };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

}  // namespace

Http2Client::Http2Client(Poller& poller, const Target& target, Driver& driver)
    : target_(target), driver_(driver), link_(poller, *this) {
  texts_ = {":method",        "GET",   ":scheme",  target.context ? "https" : "http", ":authority",
            target.authority, ":path", target.path};
  for (const std::string& header : target.headers) {
    size_t colon = header.find(": ");
    std::string name = header.substr(0, colon);
    for (char& c : name) c = static_cast<char>(tolower(c));
    texts_.push_back(name);
    texts_.push_back(header.substr(colon + 2));
  }
  for (size_t i = 0; i < texts_.size(); i += 2) fields_.push_back(field(texts_[i], texts_[i + 1]));
}

Http2Client::~Http2Client() {
  nghttp2_session_del(session_);
}

void Http2Client::connect(SSL_SESSION* session) {
  link_.connect(target_.address, target_.context, session);
}

void Http2Client::on_open() {
  nghttp2_session_callbacks* callbacks;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24}};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 2);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, 1 << 24);
  flush();
  driver_.on_ready(*this);
}

void Http2Client::send(uint64_t intended) {
  int32_t stream = nghttp2_submit_request(session_, nullptr, fields_.data(), fields_.size(), nullptr,
                                          reinterpret_cast<void*>(intended));
  if (stream < 0) spoil(nghttp2_strerror(stream));
  open_streams_++;
  if (!feeding_) flush();
}

void Http2Client::on_bytes(std::string_view bytes) {
  feeding_ = true;
  ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  feeding_ = false;
  if (taken < 0) spoil(nghttp2_strerror(static_cast<int>(taken)));
  flush();
}

void Http2Client::flush() {
  std::string all;
  const uint8_t* data;
  for (ssize_t size; (size = nghttp2_session_mem_send(session_, &data)) > 0;)
    all.append(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
  if (!all.empty()) link_.write(all);
}

void Http2Client::on_status(std::string_view status) {
  if (status != "200") spoil("status " + std::string(status));
}

void Http2Client::on_stream_closed(int32_t stream, uint32_t error) {
  open_streams_--;
  if (error) spoil(std::string("stream: ") + nghttp2_http2_strerror(error));
  driver_.on_answer(*this, reinterpret_cast<uint64_t>(nghttp2_session_get_stream_user_data(session_, stream)));
}

void Http2Client::on_closed(const std::string& why) {
  spoil(why.empty() ? "the peer closed an HTTP/2 connection" : why);
}

}  // namespace openloop
