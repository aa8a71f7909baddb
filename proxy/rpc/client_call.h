// One gRPC call of ours, from the moment it is asked for. It belongs to its channel; the caller holds a handle.
//
//   waiting ── a connection has room ──► running ── trailers, reset, connection lost ──► over ── step() tells it
//      └─ no connection ─────────────────────────────────────────────────────────────►
//   The handle is dropped in any state: cancelled, and nothing is told any more.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/event/executor.h"
#include "proxy/http/codec.h"
#include "proxy/rpc/grpc.h"
#include "proxy/rpc/grpc_wire.h"

namespace pillion::rpc {

class ClientCall;
class ClientConnection;

class CallOwner {
 public:
  virtual event::Executor& executor() = 0;
  virtual void remove(ClientCall& call) = 0;

 protected:
  ~CallOwner() = default;
};

class CallHandle final : public GrpcCall {
 public:
  explicit CallHandle(ClientCall& call) : call_(&call) {}
  ~CallHandle() override;
  void send(std::string_view message) override;
  void finish() override;

 private:
  friend class ClientCall;
  ClientCall* call_;  // null once the call is over
};

class ClientCall final : public event::Retirable,
                         public ListNode<>,
                         public event::Steppable,
                         public http::ClientStreamEvents {
 public:
  ClientCall(CallOwner& owner, std::string_view path, const Metadata& metadata, GrpcCallEvents& events);

  std::unique_ptr<CallHandle> make_handle();  // once
  bool is_waiting() const { return connection_ == nullptr && !status_; }
  const ClientConnection* connection() const { return connection_; }

  void begin(ClientConnection& connection, std::string_view scheme, std::string_view authority);
  // Over without its stream, which is gone; told from step() unless another end came before.
  void fail(int code, std::string message);
  void forget();  // the channel is gone: no more events

  // of the handle
  void send(std::string_view message);
  void finish();
  void abandon();

 private:
  // http::ClientStreamEvents
  Arena& arena() override { return arena_; }
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&& trailers) override;
  void on_reset(const Error& why) override;
  void on_drained() override {}
  void on_informational(http::ResponseHead&&) override {}
  void on_response_head(http::ResponseHead&& head, bool end) override;

  void step() override;
  bool read_messages();
  void end_with(int code, std::string message);
  void take_status(const http::HeaderMap& fields);
  void leave();

  CallOwner& owner_;
  GrpcCallEvents* events_;
  CallHandle* handle_ = nullptr;
  ClientConnection* connection_ = nullptr;
  http::ClientStream* stream_ = nullptr;
  Arena arena_;
  std::string path_;
  Metadata metadata_;
  Chain output_;  // while waiting
  Chain input_;
  GrpcReader reader_{kGrpcMessageBytesMax};
  std::optional<GrpcStatus> status_;
  size_t unconsumed_ = 0;
  bool finished_ = false;  // our side
};

}  // namespace pillion::rpc
