#include "proxy/rpc/client_call.h"

#include <fmt/format.h>

#include "proxy/rpc/client_connection.h"

namespace pillion::rpc {

CallHandle::~CallHandle() {
  if (call_ != nullptr) call_->abandon();
}

void CallHandle::send(std::string_view message) {
  if (call_ != nullptr) call_->send(message);
}

void CallHandle::finish() {
  if (call_ != nullptr) call_->finish();
}

ClientCall::ClientCall(CallOwner& owner, std::string_view path, const Metadata& metadata, GrpcCallEvents& events)
    : owner_(owner), events_(&events), path_(path), metadata_(metadata) {}

std::unique_ptr<CallHandle> ClientCall::make_handle() {
  auto handle = std::make_unique<CallHandle>(*this);
  handle_ = handle.get();
  return handle;
}

// === request ===

void ClientCall::begin(ClientConnection& connection, std::string_view scheme, std::string_view authority) {
  connection_ = &connection;
  stream_ = &connection.start(*this);
  http::RequestHead head(arena_);
  head.method = "POST";
  head.scheme = scheme;
  head.authority = authority;
  head.path = path_;
  head.te_trailers = true;
  head.headers.add(http::HeaderId::content_type, "application/grpc");
  head.headers.add(http::HeaderId::user_agent, "grpc-c++-pillion");
  for (const auto& [name, value] : metadata_) head.headers.add(name, value);
  stream_->send_head(head, false);
  if (!output_.empty() || finished_) stream_->send_body(std::move(output_), finished_);
}

void ClientCall::send(std::string_view message) {
  if (status_ || finished_) return;
  const size_t queued = stream_ != nullptr ? stream_->buffered_bytes() : output_.size();
  if (message.size() > kGrpcMessageBytesMax || queued + message.size() > kGrpcQueuedBytesMax) {
    return end_with(kGrpcResourceExhausted, "more output than the server takes");
  }
  Chain frame;
  append_grpc_message(owner_.executor().chunks, frame, message);
  if (stream_ == nullptr) {
    output_.append(std::move(frame));
  } else {
    stream_->send_body(std::move(frame), false);
    connection_->touch();
  }
}

void ClientCall::finish() {
  if (status_ || std::exchange(finished_, true) || stream_ == nullptr) return;
  stream_->send_body({}, true);
  connection_->touch();
}

// === response ===

void ClientCall::on_response_head(http::ResponseHead&& head, bool end) {
  const bool has_status = head.headers.has(http::HeaderId::grpc_status);
  if (!has_status && (head.status != 200 || !http::is_grpc(head.headers))) {
    const int code = head.status == 200 ? kGrpcUnknown : grpc_code_of_http_status(head.status);
    end_with(code, fmt::format("the server answered with HTTP status {} and content-type \"{}\"", head.status,
                               head.headers.get(http::HeaderId::content_type).substr(0, 64)));
  } else if (end || has_status) {
    take_status(head.headers);
  }
}

void ClientCall::on_body(Chain&& data, bool end) {
  unconsumed_ += data.size();
  if (!status_) input_.append(std::move(data));
  if (end) end_with(kGrpcInternal, "the answer ended without a status");
  owner_.executor().ready(*this);
}

void ClientCall::on_trailers(http::HeaderMap&& trailers) {
  take_status(trailers);
}

void ClientCall::take_status(const http::HeaderMap& fields) {
  const int code = parse_grpc_status(fields.get(http::HeaderId::grpc_status));
  if (code < 0) return end_with(kGrpcUnknown, "the answer ended without a status");
  end_with(code, percent_decode(fields.get(http::HeaderId::grpc_message)));
}

void ClientCall::on_reset(const Error& why) {
  end_with(grpc_code_of_error(why), to_string(why));
}

void ClientCall::end_with(int code, std::string message) {
  if (!status_) status_ = {.code = code, .message = std::move(message)};
  owner_.executor().ready(*this);
}

void ClientCall::fail(int code, std::string message) {
  stream_ = nullptr;
  connection_ = nullptr;
  end_with(code, std::move(message));
}

// Events come from here only: the caller may drop the handle in each of them.
void ClientCall::step() {
  if (stream_ != nullptr && unconsumed_ > 0) {
    stream_->consume(std::exchange(unconsumed_, 0));
    connection_->touch();
  }
  if (!read_messages()) return;
  if (!status_) return;
  if (status_->ok() && !reader_.is_between_messages()) {
    status_ = {.code = kGrpcInternal, .message = "the answer ended inside a message"};
  }
  const GrpcStatus status = std::move(*status_);
  GrpcCallEvents& events = *events_;
  leave();
  events.on_status(status);
}

// False when nobody listens any more.
bool ClientCall::read_messages() {
  while (handle_ != nullptr) {
    switch (reader_.next(input_)) {
      case GrpcReader::Result::need_more: return true;
      case GrpcReader::Result::message: events_->on_message(reader_.message()); break;
      case GrpcReader::Result::too_large:
        status_ = {.code = kGrpcResourceExhausted, .message = "a message above 256 MiB"};
        return true;
      case GrpcReader::Result::compressed:
        status_ = {.code = kGrpcInternal, .message = "a compressed message, which was not asked for"};
        return true;
    }
  }
  return false;
}

// === teardown ===

void ClientCall::leave() {
  if (handle_ != nullptr) handle_->call_ = nullptr;
  handle_ = nullptr;
  event::Steppable::unlink();
  if (stream_ != nullptr) {
    stream_->detach();  // RST_STREAM(CANCEL) when something is left to come
    connection_->touch();
  }
  stream_ = nullptr;
  owner_.remove(*this);
}

void ClientCall::abandon() {
  handle_ = nullptr;  // it is going
  leave();
}

void ClientCall::forget() {
  if (handle_ != nullptr) handle_->call_ = nullptr;
  handle_ = nullptr;
  stream_ = nullptr;
  event::Steppable::unlink();
}

}  // namespace pillion::rpc
