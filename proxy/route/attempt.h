// One try at one endpoint. It records what happens and pokes its owner; the owner decides. Nothing here knows of
// retries or of the client.
//
//   created ──start()──► waiting ──► open ──► ended          any state may go to failed
//                      (DNS, pool)  (stream)
#pragma once

#include <optional>
#include <vector>

#include "proxy/base/chain.h"
#include "proxy/base/error.h"
#include "proxy/event/executor.h"
#include "proxy/http/codec.h"
#include "proxy/upstream/cluster.h"

namespace pillion::route {

class AttemptEvents {
 public:
  virtual void on_attempt_progress() = 0;  // something was recorded: mark yourself ready, do nothing else
  virtual Arena& arena() = 0;

 protected:
  ~AttemptEvents() = default;
};

struct AttemptOptions {
  upstream::PickContext pick;
  Duration per_try_timeout{};  // zero = none
  Duration per_try_idle_timeout{};
  http::Version downstream_version = http::Version::http11;
  bool auto_host_rewrite = false;
  bool append_x_forwarded_host = false;  // … and what is told of the host that was there before
  bool suppress_envoy_headers = false;
};

class Attempt final : public event::Retirable,
                      public http::ClientStreamEvents,
                      public upstream::Waiter,
                      private upstream::AssignmentWaiter {
 public:
  enum class State : uint8_t { created, waiting, open, ended, failed };

  Attempt(AttemptEvents& events, upstream::Cluster& cluster, event::Executor& executor);
  ~Attempt() override;
  // In a block of the worker's pool, or outside of any.
  static void* operator new(size_t bytes, BlockPool& pool) { return BlockPool::acquire(&pool, bytes); }
  static void* operator new(size_t bytes) { return BlockPool::acquire(nullptr, bytes); }
  static void operator delete(void* room, BlockPool&) { BlockPool::release(room); }
  static void operator delete(void* room) { BlockPool::release(room); }

  // `head` and what options.pick.avoid shows must outlive the attempt; `end` says that the request has no body and no
  // trailers.
  void start(const http::RequestHead& head, bool end, const AttemptOptions& options);
  void send_body(Chain&& data, bool end);  // requires can_send()
  void send_trailers(const http::HeaderMap& trailers);
  bool can_send() const { return state_ == State::open && !request_sent_; }
  bool is_congested() const { return stream_ != nullptr && stream_->is_congested(); }
  void pause_reading();
  void resume_reading();
  void consume(size_t bytes);  // of the response's body: passed on to the client
  // Nobody wants it any more: resets the stream, frees the connection where it can be kept. Idempotent.
  void cancel(Code why);

  State state() const { return state_; }
  const Error& failure() const { return failure_; }
  upstream::Endpoint* endpoint() const { return endpoint_; }
  Address endpoint_address() const { return address_; }
  const Address& local_address() const { return local_address_; }  // of the connection; none before there was one
  std::optional<http::Version> version() const { return version_; }
  Instant started() const { return started_; }
  bool sent_anything() const { return head_sent_; }
  bool was_reused() const { return reused_; }
  // The peer closed a reused connection before it answered, and provably saw none of this request.
  bool was_unseen() const { return unseen_; }

  // What was received and not yet taken by the owner.
  std::vector<http::ResponseHead> informational;  // at most as many as the codec lets pass
  std::optional<http::ResponseHead> head;
  Chain body;
  std::optional<http::HeaderMap> trailers;
  bool response_ended = false;  // everything was received

 private:
  void on_assignment() override { pick(); }
  void pick();
  Expected<upstream::Connection*> acquire();
  upstream::ServerName server_name() const;
  void on_connection(upstream::Connection& connection) override;
  void on_pool_failure(const Error& why) override;
  Arena& arena() override { return events_.arena(); }
  void on_informational(http::ResponseHead&& head) override;
  void on_response_head(http::ResponseHead&& head, bool end) override;
  void on_body(Chain&& data, bool end) override;
  void on_trailers(http::HeaderMap&& trailers) override;
  void on_reset(const Error& why) override;
  void on_drained() override { events_.on_attempt_progress(); }
  void on_per_try_timeout();
  void on_per_try_idle();
  void fail(const Error& why);
  void end_response();
  void count_response(uint16_t status) const;
  void release_stream();
  void report(const upstream::Outcome& outcome);

  AttemptEvents& events_;
  upstream::Cluster& cluster_;
  upstream::ClusterPin pin_;
  event::Executor& executor_;
  WeakRef<upstream::Endpoint> endpoint_ref_;
  upstream::Endpoint* endpoint_ = nullptr;
  Address address_;
  Address local_address_;
  upstream::Connection* connection_ = nullptr;  // while stream_ is set
  http::ClientStream* stream_ = nullptr;
  const http::RequestHead* request_ = nullptr;
  std::optional<http::RequestHead> rewritten_;  // auto_host_rewrite
  AttemptOptions options_;
  upstream::BreakerSlot request_slot_;
  event::Timer per_try_timer_;
  event::Timer per_try_idle_timer_;
  Instant started_{};
  Error failure_;
  std::optional<http::Version> version_;
  uint64_t write_mark_ = 0;
  State state_ = State::created;
  bool request_ends_with_head_ = false;
  bool request_sent_ = false;
  bool head_sent_ = false;
  bool reused_ = false;
  bool unseen_ = false;
  bool counted_active_ = false;
  bool paused_ = false;
  bool reported_ = false;
};

}  // namespace pillion::route
