#include "proxy/rpc/server_exchange.h"

#include <ctime>

#include "proxy/base/log.h"

namespace pillion::rpc {
namespace {

// RFC 9110 5.6.7, which wants English names whatever the locale is.
std::string http_date(int64_t wall_us) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = wall_us / 1'000'000;
  tm t{};
  gmtime_r(&seconds, &t);
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[t.tm_wday], t.tm_mday, kMonths[t.tm_mon],
                     t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace

ServerExchange::ServerExchange(ExchangeOwner& owner, http::ServerStream& stream)
    : owner_(owner),
      stream_(&stream),
      reader_(owner.options().grpc_message_bytes_max),
      request_timer_(event::Timer::bind<&ServerExchange::on_request_timeout>(this)) {
  request_timer_.start_after(owner_.executor().timers, owner_.options().request_timeout);
}

// === events of the codec ===

void ServerExchange::on_request_head(http::RequestHead&& head, bool end) {
  head_seen_ = true;
  request_.method = head.method;
  request_.path = http::path_without_query(head.path);
  request_.query = http::query_of(head.path);
  request_.authority = head.authority;
  request_.peer = &owner_.peer();
  wants_continue_ = head.expects_continue;
  is_grpc_ = head.version == http::Version::http2 && head.method == "POST" && http::is_grpc(head.headers);
  for (const http::Header& h : head.headers) metadata_.emplace_back(h.name, h.value);
  // Nothing is switched here: an upgrade is ignored (RFC 9110 7.8) and its request has no body.
  input_over_ = end || !head.upgrade.empty() || head.method == "CONNECT";
  if (head.version == http::Version::http2 && !head.upgrade.empty()) request_.method = "CONNECT";  // it was (RFC 8441)
  owner_.executor().ready(*this);
}

void ServerExchange::on_body(Chain&& data, bool end) {
  unconsumed_ += data.size();
  if (is_grpc_) {
    input_.append(std::move(data));  // bounded by the stream's window, which opens as messages are read
  } else if (request_.body.size() + data.size() > owner_.options().body_bytes_max) {
    too_large_ = true;
  } else if (!too_large_) {
    for (; !data.empty(); data.drain(data.front().size())) request_.body.append(data.front());
  }
  input_over_ = input_over_ || end;
  owner_.executor().ready(*this);
}

void ServerExchange::on_trailers(http::HeaderMap&&) {
  input_over_ = true;
  owner_.executor().ready(*this);
}

void ServerExchange::on_reset(const Error& why) {
  reset_ = why;
  owner_.executor().ready(*this);
}

void ServerExchange::on_request_timeout() {
  timed_out_ = true;
  owner_.executor().ready(*this);
}

// === request ===

void ServerExchange::step() {
  if (stream_ == nullptr) return;
  if (reset_ && !finished_) {
    if (may_answer_reset()) {
      answer_status(info(reset_->code).http_status, reset_->what);
    } else {
      cancel_handler();
      finished_ = true;
    }
  }
  if (!finished_ && timed_out_) answer_status(408, "the request took too long");
  if (!finished_ && unconsumed_ > 0) stream_->consume(std::exchange(unconsumed_, 0));
  if (!finished_ && head_seen_) is_grpc_ ? step_grpc() : step_http();
  if (finished_) leave();
}

// A head that was refused, or a body that broke its framing, still gets its answer.
bool ServerExchange::may_answer_reset() const {
  if (head_sent_ || started_) return false;
  return reset_->code == Code::bad_message || reset_->code == Code::head_too_large || reset_->code == Code::unsupported;
}

void ServerExchange::step_http() {
  if (too_large_) return answer_status(413, "the body is larger than this server takes");
  if (!input_over_) {
    if (std::exchange(wants_continue_, false)) {
      http::ResponseHead head(arena_);
      head.status = 100;
      stream_->send_informational(head);
      owner_.touch();
    }
    return;
  }
  if (request_.method == "CONNECT") return answer_status(405, "this server is no proxy");
  HttpHandler* handler = owner_.options().handler;
  if (handler == nullptr) return answer_status(404, "there is no such page");
  request_.headers = std::move(metadata_);
  answer(handler->handle(request_));
}

void ServerExchange::answer_status(int status, std::string_view text) {
  answer({.status = status, .body = std::string(text) + "\n"});
}

void ServerExchange::answer(const HttpResponse& response) {
  if (head_sent_) {  // a gRPC call that has begun cannot be answered otherwise any more
    stream_->reset(Code::internal);
    stream_ = nullptr;
    cancel_handler();
    finished_ = true;
    return;
  }
  const std::string length = std::to_string(response.body.size());
  const std::string date = http_date(wall_now_us());
  http::ResponseHead head(arena_);
  head.status = static_cast<uint16_t>(response.status);
  head.content_length = response.body.size();
  if (!response.content_type.empty()) head.headers.add(http::HeaderId::content_type, response.content_type);
  head.headers.add("cache-control", "no-cache, max-age=0");
  head.headers.add("x-content-type-options", "nosniff");
  head.headers.add(http::HeaderId::date, date);
  for (const auto& [name, value] : response.headers) head.headers.add(name, value);
  stream_->send_head(head, response.body.empty());
  if (!response.body.empty()) {
    Chain body;
    body.append(owner_.executor().chunks, response.body);
    stream_->send_body(std::move(body), true);
  }
  head_sent_ = true;
  finished_ = true;
  owner_.touch();
}

// === gRPC ===

void ServerExchange::step_grpc() {
  if (!started_) {
    started_ = true;
    request_timer_.stop();  // calls may last
    GrpcService* service = owner_.options().grpc;
    if (service != nullptr) handler_ = service->start(request_.path, metadata_, *this);
    if (handler_ == nullptr && !finished_) {
      finish({kGrpcUnimplemented, "there is no method " + request_.path});
    }
  }
  if (!read_messages() || finished_ || !input_over_ || told_finished_) return;
  if (!reader_.is_between_messages()) return break_call(kGrpcInternal, "the request ended inside a message");
  told_finished_ = true;
  handler_->on_finished();
}

// False when the call is over.
bool ServerExchange::read_messages() {
  while (!finished_) {
    switch (reader_.next(input_)) {
      case GrpcReader::Result::need_more: return true;
      case GrpcReader::Result::message: handler_->on_message(reader_.message()); break;
      case GrpcReader::Result::too_large:
        break_call(kGrpcResourceExhausted, "the message is larger than this server takes");
        break;
      case GrpcReader::Result::compressed:
        break_call(kGrpcUnimplemented, "compressed messages are not taken here");
        break;
    }
  }
  return false;
}

void ServerExchange::break_call(int code, const char* what) {
  finish({code, what});
  cancel_handler();
}

void ServerExchange::send(std::string_view message) {
  if (finished_ || reset_ || stream_ == nullptr) return;
  if (message.size() > kGrpcMessageBytesMax || queued_bytes() + message.size() > kGrpcQueuedBytesMax) {
    PILLION_LOG_LIMITED(warning, owner_.executor().now(), "rpc: {} {}: more than {} bytes wait for the client",
                        owner_.peer().address.to_string(), request_.path, kGrpcQueuedBytesMax);
    on_reset({.code = Code::resource_limit, .side = Side::local, .what = "output that the client does not take"});
    return;
  }
  if (!head_sent_) {
    head_sent_ = true;
    http::ResponseHead head(arena_);
    head.status = 200;
    head.headers.add(http::HeaderId::content_type, "application/grpc");
    stream_->send_head(head, false);
  }
  Chain body;
  append_grpc_message(owner_.executor().chunks, body, message);
  stream_->send_body(std::move(body), false);
  owner_.touch();
}

void ServerExchange::finish(const GrpcStatus& status) {
  if (finished_ || reset_ || stream_ == nullptr) return;
  finished_ = true;
  const std::string code = std::to_string(status.code);
  const std::string text = percent_encode(status.message);
  const auto add_status = [&](http::HeaderMap& fields) {
    fields.add(http::HeaderId::grpc_status, code);
    if (!text.empty()) fields.add(http::HeaderId::grpc_message, text);
  };
  if (head_sent_) {
    http::HeaderMap trailers(arena_);
    add_status(trailers);
    stream_->send_trailers(trailers);
  } else {
    http::ResponseHead head(arena_);
    head.status = 200;
    head.headers.add(http::HeaderId::content_type, "application/grpc");
    add_status(head.headers);
    stream_->send_head(head, true);
    head_sent_ = true;
  }
  owner_.touch();
  owner_.executor().ready(*this);  // the handler is on the stack; it goes later
}

size_t ServerExchange::queued_bytes() const {
  return stream_ == nullptr ? 0 : stream_->buffered_bytes() + owner_.unsent_bytes();
}

// === teardown ===

void ServerExchange::cancel_handler() {
  if (handler_ != nullptr) handler_->on_cancelled();
}

void ServerExchange::cut() {
  request_timer_.stop();
  event::Steppable::unlink();
  stream_ = nullptr;
  if (!std::exchange(finished_, true)) cancel_handler();
}

void ServerExchange::leave() {
  if (stream_ != nullptr) {
    if (reset_ && reset_->side == Side::local && reset_->code == Code::resource_limit) {
      stream_->reset(Code::local_close);
    } else {
      stream_->detach();
    }
  }
  stream_ = nullptr;
  request_timer_.stop();
  event::Steppable::unlink();
  owner_.touch();
  owner_.remove(*this);
}

}  // namespace pillion::rpc
