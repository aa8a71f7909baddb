// One request and its response. step() is the table of contents of the proxy: every branch of a request's life is in
// it, everything below is a leaf.
//
//   request:   idle ──► head ──► body ──► done          response:   idle ──► head ──► body ──► done
//
// The two cursors move independently: bodies are full duplex and a response may come before the request has ended.
// Codec events and attempts only record and mark the exchange ready; step() runs from the executor.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/config/listener.h"
#include "proxy/event/executor.h"
#include "proxy/filter/record.h"
#include "proxy/http/codec.h"
#include "proxy/route/attempt.h"
#include "proxy/route/retry.h"
#include "proxy/route/router.h"

namespace pillion::downstream {

class Exchange;

// What an exchange needs from the connection that owns it.
class ExchangeOwner {
 public:
  virtual void retire(Exchange& exchange) = 0;  // it is over: take it off your list, its memory waits
  virtual void touch() = 0;                     // there is output to flush
  virtual void pause_reading() = 0;             // HTTP/1: the request outruns the endpoint
  virtual void resume_reading() = 0;
  virtual bool is_draining() const = 0;

 protected:
  ~ExchangeOwner() = default;
};

// What all exchanges of a connection share; outlives them.
struct ExchangeContext {
  event::Executor& executor;
  upstream::ClusterManager& clusters;
  const config::HttpConnectionManager& manager;
  std::shared_ptr<const config::RouteConfiguration> routes;  // pinned; null: the RDS name has not arrived
};

class Exchange final : public event::Retirable,
                       public ListNode<>,
                       public event::Steppable,
                       public http::ServerStreamEvents,
                       public route::AttemptEvents {
 public:
  static constexpr size_t kReplayBytesMax = 64 * 1024;  // of a request's body, kept for another try
  static constexpr size_t kHeldBytesMax = 1024 * 1024;  // of a request's body, while no endpoint takes it

  Exchange(ExchangeOwner& owner, ExchangeContext context, http::ServerStream& stream);
  ~Exchange() override;

  void step() override;
  // The connection has gone; nothing can be sent any more.
  void abandon(const Error& why);
  filter::ExchangeRecord& record() { return record_; }

 private:
  enum class Do : uint8_t { none, begin, answer, start_attempt, judge_attempt, relay, finish };

  // events of the codec
  Arena& arena() override { return arena_; }
  void on_request_head(http::RequestHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&& trailers) override;
  void on_reset(const Error& why) override;
  void on_drained() override { context_.executor.ready(*this); }
  void on_attempt_progress() override { context_.executor.ready(*this); }

  Do next() const;
  // leaves
  void begin();
  void start_attempt();
  void judge_attempt();
  void relay();
  void relay_request();
  void relay_response();
  void send_response_head();
  void answer();
  void complete();

  void fail(const Error& why);  // the answer will be ours
  void retry_later(Duration backoff);
  void retire_attempt();
  void on_route_timeout();
  void on_stream_idle();
  void on_backoff() {
    retry_due_ = true;
    context_.executor.ready(*this);
  }
  void note_progress();  // something moved: the idle timer starts over

  ExchangeOwner& owner_;
  ExchangeContext context_;
  http::ServerStream* stream_;  // null once it was detached
  Arena arena_;
  std::optional<http::RequestHead> head_;
  Chain request_body_;  // received and not yet given to an attempt
  Chain replay_;        // what the attempts were given, for the next one
  std::optional<http::HeaderMap> request_trailers_;
  route::RouteMatch match_;
  const config::RouteAction* action_ = nullptr;
  upstream::Cluster* cluster_ = nullptr;
  std::optional<route::RetryState> retry_;
  std::unique_ptr<route::Attempt> attempt_;
  std::vector<Address> tried_;
  std::optional<Error> local_reply_;
  event::Timer route_timer_;
  event::Timer idle_timer_;
  event::Timer backoff_timer_;
  filter::ExchangeRecord record_;
  size_t unconsumed_request_ = 0;   // flow control that is owed to the client
  size_t unconsumed_response_ = 0;  // … and to the endpoint
  bool request_ended_ = false;
  bool request_relayed_ = false;  // all of it was given to the attempt
  bool replay_possible_ = true;
  bool response_accepted_ = false;  // the attempt's response is the answer
  bool response_head_sent_ = false;
  bool response_relayed_ = false;
  bool retry_due_ = true;  // the first try counts as due
  bool reading_paused_ = false;
  bool downstream_gone_ = false;
  bool begun_ = false;
  bool finished_ = false;
};

}  // namespace pillion::downstream
