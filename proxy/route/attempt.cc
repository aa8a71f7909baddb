#include "proxy/route/attempt.h"

#include <charconv>

#include "proxy/base/check.h"

namespace pillion::route {

using upstream::Outcome;

Attempt::Attempt(AttemptEvents& events, upstream::Cluster& cluster, event::Executor& executor)
    : events_(events),
      cluster_(cluster),
      executor_(executor),
      per_try_timer_(event::Timer::bind<&Attempt::on_per_try_timeout>(this)),
      per_try_idle_timer_(event::Timer::bind<&Attempt::on_per_try_idle>(this)) {}

Attempt::~Attempt() {
  cancel(Code::local_close);
}

// === request ===

void Attempt::start(const http::RequestHead& head, bool end, const AttemptOptions& options) {
  PILLION_CHECK(state_ == State::created);
  state_ = State::waiting;
  started_ = executor_.now();
  request_ = &head;
  request_ends_with_head_ = end;
  options_ = options;
  const uint32_t priority = options.pick.priority;
  request_slot_ =
      upstream::BreakerSlot::take(cluster_.counts(priority).requests, cluster_.limits(priority).requests_max);
  if (!request_slot_) {
    cluster_.add_stat(cluster_.stats().upstream_rq_pending_overflow);
    fail({Code::overflow, Side::local, Retry::never, 0, "circuit breaker: max_requests"});
    return;
  }
  const Expected<upstream::Endpoint*> picked = cluster_.pick(options.pick);
  if (!picked) {
    fail(picked.error());
    return;
  }
  endpoint_ = *picked;
  endpoint_ref_.set(endpoint_);
  address_ = endpoint_->address();
  config::Cluster::Protocol protocol = cluster_.config().protocol;
  if (protocol == config::Cluster::Protocol::downstream) {
    protocol = options.downstream_version == http::Version::http2 ? config::Cluster::Protocol::http2
                                                                  : config::Cluster::Protocol::http1;
  }
  if (options.per_try_timeout.count() > 0) per_try_timer_.start_after(executor_.timers, options.per_try_timeout);
  const Expected<upstream::Connection*> got = endpoint_->http_pool(protocol).acquire(*this, priority);
  if (!got) {
    fail(got.error());
    return;
  }
  if (*got != nullptr) on_connection(**got);
}

void Attempt::on_connection(upstream::Connection& connection) {
  PILLION_CHECK(state_ == State::waiting);
  state_ = State::open;
  connection_ = &connection;
  version_ = connection.version();
  stream_ = &connection.start(*this);
  reused_ = connection.is_reused();
  write_mark_ = connection.write_mark();
  const http::RequestHead* head = request_;
  if (options_.auto_host_rewrite && endpoint_ != nullptr && !endpoint_->config().hostname.empty()) {
    rewritten_.emplace(*request_);
    rewritten_->authority = events_.arena().copy(endpoint_->config().hostname);
    head = &*rewritten_;
  }
  cluster_.add_stat(cluster_.stats().upstream_rq_total);
  cluster_.add_stat(cluster_.stats().upstream_rq_active);
  endpoint_->shared().active_requests.fetch_add(1, std::memory_order_relaxed);
  endpoint_->shared().requests_total.fetch_add(1, std::memory_order_relaxed);
  counted_active_ = true;
  head_sent_ = true;
  request_sent_ = request_ends_with_head_;
  stream_->send_head(*head, request_ends_with_head_);
  if (options_.per_try_idle_timeout.count() > 0) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  connection_->touch();
  events_.on_attempt_progress();
}

void Attempt::send_body(Chain&& data, bool end) {
  PILLION_DCHECK(can_send());
  stream_->send_body(std::move(data), end);
  request_sent_ = end;
  connection_->touch();
}

void Attempt::send_trailers(const http::HeaderMap& trailers) {
  PILLION_DCHECK(can_send());
  stream_->send_trailers(trailers);
  request_sent_ = true;
  connection_->touch();
}

// === response ===

void Attempt::on_informational(http::ResponseHead&& h) {
  informational.emplace(std::move(h));
  events_.on_attempt_progress();
}

void Attempt::on_response_head(http::ResponseHead&& h, bool end) {
  per_try_timer_.stop();
  if (per_try_idle_timer_.is_armed()) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  Outcome outcome{.kind = Outcome::Kind::response, .status = h.status};
  const http::Header* grpc = h.headers.find(http::HeaderId::grpc_status);
  if (grpc != nullptr) {
    std::from_chars(grpc->value.data(), grpc->value.data() + grpc->value.size(), outcome.grpc_status);
  }
  report(outcome);
  head.emplace(std::move(h));
  if (end) end_response();
  events_.on_attempt_progress();
}

void Attempt::on_body(Chain&& data, bool end) {
  if (per_try_idle_timer_.is_armed()) {
    per_try_idle_timer_.start_after(executor_.timers, options_.per_try_idle_timeout);
  }
  body.append(std::move(data));
  if (end) end_response();
  events_.on_attempt_progress();
}

void Attempt::on_trailers(http::HeaderMap&& t) {
  trailers.emplace(std::move(t));
  end_response();
  events_.on_attempt_progress();
}

void Attempt::end_response() {
  response_ended = true;
  per_try_idle_timer_.stop();
  if (request_sent_) {
    state_ = State::ended;
    release_stream();
  }
}

void Attempt::consume(size_t bytes) {
  if (stream_ != nullptr && bytes > 0) {
    stream_->consume(bytes);
    connection_->touch();
  }
}

void Attempt::pause_reading() {
  if (connection_ == nullptr || paused_) return;
  paused_ = true;
  connection_->pause_reading();
}

void Attempt::resume_reading() {
  if (!paused_) return;
  paused_ = false;
  if (connection_ != nullptr) connection_->resume_reading();
}

// === failure ===

void Attempt::on_pool_failure(const Error& why) {
  reported_ = true;  // the pool reported the dial itself
  fail(why);
}

void Attempt::on_reset(const Error& why) {
  if (reused_ && !head && why.retry == Retry::if_reused) unseen_ = connection_->was_unseen_since(write_mark_);
  stream_ = nullptr;  // the codec has let go of it
  if (!response_ended) report({.kind = Outcome::Kind::reset});
  if (why.side == Side::upstream) cluster_.add_stat(cluster_.stats().upstream_rq_rx_reset);
  fail(why);
}

void Attempt::on_per_try_timeout() {
  cluster_.add_stat(cluster_.stats().upstream_rq_per_try_timeout);
  if (endpoint_ref_) endpoint_->shared().timeout_total.fetch_add(1, std::memory_order_relaxed);
  report({.kind = Outcome::Kind::timeout});
  fail({Code::per_try_timeout, Side::upstream, Retry::never, 0, "no response within the per-try timeout"});
}

void Attempt::on_per_try_idle() {
  report({.kind = Outcome::Kind::timeout});
  fail({Code::per_try_timeout, Side::upstream, Retry::never, 0, "nothing moved within the per-try idle timeout"});
}

void Attempt::fail(const Error& why) {
  if (state_ == State::failed) return;
  cancel(why.code);
  failure_ = why;
  state_ = State::failed;
  events_.on_attempt_progress();
}

void Attempt::report(const Outcome& outcome) {
  if (reported_ || !endpoint_ref_) return;
  reported_ = true;
  cluster_.report(*endpoint_, outcome);
}

// === teardown ===

void Attempt::cancel(Code why) {
  if (state_ == State::failed || state_ == State::ended) {
    release_stream();
    return;
  }
  Waiter::leave();
  if (stream_ != nullptr && !(response_ended && request_sent_)) {
    cluster_.add_stat(cluster_.stats().upstream_rq_tx_reset);
    resume_reading();
    stream_->reset(why);
    stream_ = nullptr;
    connection_->touch();
  }
  release_stream();
  if (state_ != State::created) state_ = State::failed;
}

// Gives back what is scarce: the stream, the breaker's slot, the endpoint's count.
void Attempt::release_stream() {
  per_try_timer_.stop();
  per_try_idle_timer_.stop();
  if (stream_ != nullptr) {
    resume_reading();
    stream_->detach();
    connection_->touch();
    stream_ = nullptr;
  }
  connection_ = nullptr;
  request_slot_.release();
  if (counted_active_) {
    counted_active_ = false;
    cluster_.sub_stat(cluster_.stats().upstream_rq_active);
    if (endpoint_ref_) endpoint_->shared().active_requests.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace pillion::route
