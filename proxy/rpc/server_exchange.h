// One request to our own server, or one gRPC call, on a stream of a codec.
//
//   HTTP:  collecting ── complete, or refused ──► answered ──► left
//   gRPC:  collecting ── the head ──► running ── finish(), a broken message ──► finished ──► left
//   any:   ── the client or its connection goes ──► cut (a running handler is told) ──► left
//
// Codec events only record and mark it ready; everything else happens in step().
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "proxy/event/executor.h"
#include "proxy/http/codec.h"
#include "proxy/rpc/grpc_wire.h"
#include "proxy/rpc/handler.h"

namespace pillion::rpc {

class ServerExchange;

// What an exchange needs from its connection.
class ExchangeOwner {
 public:
  virtual event::Executor& executor() = 0;
  virtual const HttpServerOptions& options() const = 0;
  virtual const Peer& peer() const = 0;
  virtual size_t unsent_bytes() const = 0;  // of all its streams, behind the codec
  virtual void touch() = 0;                 // there is output
  virtual void remove(ServerExchange& exchange) = 0;

 protected:
  ~ExchangeOwner() = default;
};

class ServerExchange final : public event::Retirable,
                             public ListNode<>,
                             public event::Steppable,
                             public http::ServerStreamEvents,
                             public GrpcResponder {
 public:
  ServerExchange(ExchangeOwner& owner, http::ServerStream& stream);

  // The connection is over: nothing is sent any more, a running handler is told. Not from inside a handler.
  void cut();

  // === http::ServerStreamEvents ===
  Arena& arena() override { return arena_; }
  void on_request_head(http::RequestHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&&) override;
  void on_reset(const Error& why) override;
  void on_drained() override {}  // the handler looks at queued_bytes() when it has something to send

  // === GrpcResponder ===
  void send(std::string_view message) override;
  void finish(const GrpcStatus& status) override;
  size_t queued_bytes() const override;
  const Peer& peer() const override { return owner_.peer(); }

 private:
  void step() override;
  void step_http();
  void step_grpc();
  bool read_messages();
  void break_call(int code, const char* what);
  void answer(const HttpResponse& response);
  void answer_status(int status, std::string_view text);
  bool may_answer_reset() const;
  void cancel_handler();
  void leave();
  void on_request_timeout();

  ExchangeOwner& owner_;
  http::ServerStream* stream_;  // null once left
  Arena arena_;
  HttpRequest request_;
  Metadata metadata_;
  Chain input_;  // of a gRPC call, not yet cut into messages
  GrpcReader reader_;
  std::unique_ptr<GrpcHandler> handler_;
  std::optional<Error> reset_;
  event::Timer request_timer_;
  size_t unconsumed_ = 0;  // received, and its window not given back
  bool head_seen_ = false;
  bool is_grpc_ = false;
  bool input_over_ = false;
  bool too_large_ = false;
  bool timed_out_ = false;
  bool wants_continue_ = false;
  bool started_ = false;        // the service was asked for a handler
  bool told_finished_ = false;  // the handler knows that the client has finished
  bool head_sent_ = false;
  bool finished_ = false;  // all was said
};

}  // namespace pillion::rpc
