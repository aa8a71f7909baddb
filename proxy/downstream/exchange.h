// One request and its response. step() is the table of contents of the proxy: every branch of a request's life is in
// it, everything below it is a leaf.
//
//   request:   idle ──► head ──► body ──► done          response:   idle ──► head ──► body ──► done
//
// The two cursors move independently: bodies are full duplex and a response may come before the request has ended.
// Codec events, timers and attempts only record and mark the exchange ready; step() runs from the executor.
//
// exchange.cc has the steps and the relay of bodies, exchange_request.cc what happens to a head before the first
// attempt, exchange_filters.cc what the filters have a say in, exchange_end.cc failures, timers and the end.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/base/arena.h"
#include "proxy/config/listener.h"
#include "proxy/downstream/format_values.h"
#include "proxy/downstream/forwarded.h"
#include "proxy/downstream/local_reply.h"
#include "proxy/downstream/session.h"
#include "proxy/event/executor.h"
#include "proxy/filter/record.h"
#include "proxy/http/codec.h"
#include "proxy/route/attempt.h"
#include "proxy/route/retry.h"
#include "proxy/route/router.h"
#include "proxy/route/timeout.h"

namespace pillion::downstream {

class Exchange;

// What an exchange needs from the connection that owns it. None of these calls it back.
class ExchangeOwner {
 public:
  virtual void retire(Exchange& exchange) = 0;  // it is over: take it off your list, its memory waits
  virtual void touch() = 0;                     // there is output to flush
  virtual void pause_reading() = 0;             // HTTP/1: the request outruns the endpoint
  virtual void resume_reading() = 0;
  virtual void end_after_answer() = 0;  // HTTP/1: `connection: close` on the answer that follows

 protected:
  ~ExchangeOwner() = default;
};

// What all exchanges of a connection share; outlives them.
struct ExchangeContext {
  ExchangeOwner& owner;
  Services& services;
  const ConnectionInfo& info;
  const config::HttpConnectionManager& manager;
  const HttpStats& stats;
  const filter::ChainPlan& filters;
  const net::TlsInfo* tls;  // null: plain text
  Peer peer;
};

class Exchange final : public event::Retirable,
                       public ListNode<>,
                       public event::Steppable,
                       public http::ServerStreamEvents,
                       public route::AttemptEvents,
                       public filter::ChainHost {
 public:
  static constexpr size_t kReplayBytesMax = 64 * 1024;  // of a request's body, kept for another try
  static constexpr size_t kHeldBytesMax = 1024 * 1024;  // of a request's body, while no endpoint takes it

  // In a block of the worker's pool, with the first of its arena behind it.
  static std::unique_ptr<Exchange> make(const ExchangeContext& context, http::ServerStream& stream,
                                        http::Version version);
  Exchange(const ExchangeContext& context, http::ServerStream& stream, http::Version version);
  ~Exchange() override;
  static void* operator new(size_t bytes, BlockPool& pool) { return BlockPool::acquire(&pool, bytes); }
  static void operator delete(void* room, BlockPool&) { BlockPool::release(room); }
  static void operator delete(void* room) { BlockPool::release(room); }

  void step() override;
  bool is_tunnel() const { return record_.upgraded; }

 private:
  enum class Do : uint8_t {
    none,
    begin,
    run_request,
    choose_upstream,
    start_attempt,
    judge_attempt,
    answer,
    pass_answer,
    relay,
    finish
  };

  // events of the codec and of the attempt
  Arena& arena() override { return arena_; }
  void on_request_head(http::RequestHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&& trailers) override;
  void on_reset(const Error& why) override;
  void on_drained() override { mark_ready(); }
  void on_attempt_progress() override { mark_ready(); }
  void on_filter_resumed() override { mark_ready(); }

  Do next() const;
  // leaves of the request
  void begin();
  bool prepare_head();
  void match_route();
  void find_cluster();
  void resolve_cluster();
  void choose_upstream();
  bool choose_cluster();
  bool answers_by_itself();
  void limit_duration(Duration limit);  // zero: none
  bool allows_upgrade() const;
  void prepare_for_upstream();
  void say_continue();
  void start_attempt();
  void set_retry_headers();
  void tell_attempt_count(uint32_t count);
  route::AttemptOptions attempt_options() const;
  void relay_request();
  void end_request();
  bool request_is_whole() const;  // its end may go to the endpoint
  Chain& body_to_send();          // … and so much of its body
  void steer_request_flow();
  // leaves of the response
  void judge_attempt();
  void record_attempt();
  void relay();
  void pass_informational();
  void relay_response();
  void pass_response(Chain& body, bool ended);
  void send_response_head(bool end);
  void send_response_end();
  void steer_response_flow();
  void answer();
  void pass_answer();
  void send_answer();
  void change_response(http::ResponseHead& head, bool from_upstream);
  void finish_head(http::ResponseHead& head);
  // leaves of the filters
  void make_filters();
  bool run_request();
  bool run_response();
  bool filters_see_response() const { return filters_ != nullptr && filters_->sees_response(); }
  bool take(const filter::Verdict& verdict);
  void complete();
  void count_completion();
  void write_logs();

  void reply(const LocalReply& reply, const Error& why);  // the answer will be ours
  void fail_attempt(const Error& why);
  void break_off(const Error& why, std::string_view details);  // the response has begun and cannot be finished
  void retire_attempt();
  void start_timers();
  void start_route_timer();
  void note_progress();  // something moved: the idle timer starts over
  void on_request_late();
  void on_route_timeout();
  void on_stream_idle();
  void on_max_duration();
  void on_backoff();
  void mark_ready() { executor().ready(*this); }
  event::Executor& executor() const { return context_.services.executor; }
  Instant now() const { return context_.services.executor.now(); }
  bool is_http2() const { return record_.version == http::Version::http2; }

  const ExchangeContext& context_;
  http::ServerStream* stream_;  // null once it was detached
  Arena arena_;
  std::optional<http::RequestHead> head_;
  Chain request_body_;  // received and not yet given to the filters, or to an attempt where there are none
  Chain replay_;        // what the attempts were given, for the next one
  std::optional<http::HeaderMap> request_trailers_;
  std::shared_ptr<const config::RouteConfiguration> routes_;  // pinned
  route::RouteMatch match_;
  const config::RouteAction* action_ = nullptr;
  const config::WeightedCluster* weighted_ = nullptr;
  std::string_view cluster_name_;                 // of the route; "" where it names none
  std::unique_ptr<filter::FilterChain> filters_;  // null: only the router
  route::Timeouts timeouts_;
  std::optional<config::RetryPolicy> merged_policy_;  // the configured one and what a trusted client asks for
  const config::RetryPolicy* retry_policy_ = nullptr;
  upstream::Cluster* cluster_ = nullptr;
  upstream::ClusterPin cluster_pin_;  // between two tries no attempt keeps the cluster alive
  std::optional<route::RetryState> retry_;
  std::unique_ptr<route::Attempt> attempt_;
  std::vector<Address> tried_;  // endpoints of failed attempts, where the policy avoids them
  std::optional<LocalReply> local_reply_;
  std::optional<http::ResponseHead> own_head_;  // of a local reply
  Chain own_body_;
  event::Timer request_timer_;  // head, then all of the request
  event::Timer route_timer_;
  event::Timer idle_timer_;
  event::Timer duration_timer_;
  event::Timer backoff_timer_;
  filter::ExchangeRecord record_;
  const ExchangeValues values_{record_};
  Duration idle_timeout_{};
  size_t unconsumed_request_ = 0;   // flow control that is owed to the client
  size_t unconsumed_response_ = 0;  // … and to the endpoint
  bool begun_ = false;
  bool wants_tls_ = false;  // the virtual host wants it, and this is not it
  bool filters_made_ = false;
  bool routed_ = false;           // the filters let it pass, and it is known where to
  bool answer_filtered_ = false;  // own_head_ takes its way through the filters
  bool response_changed_ = false;
  bool request_ended_ = false;
  bool request_relayed_ = false;  // all of it was given to the attempt
  bool replay_possible_ = true;
  bool retry_due_ = true;           // the first try counts as due
  bool response_accepted_ = false;  // the attempt's response is the answer
  bool response_head_sent_ = false;
  bool response_relayed_ = false;
  bool reading_paused_ = false;
  bool downstream_gone_ = false;
  bool finished_ = false;
};
// The rest of the block is the arena's: what a request of usual size costs is one block.
static_assert(sizeof(Exchange) <= BlockPool::kRoomBytes / 2);

}  // namespace pillion::downstream
