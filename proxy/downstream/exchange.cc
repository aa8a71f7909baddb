#include "proxy/downstream/exchange.h"

#include <algorithm>

#include "proxy/base/log.h"

namespace pillion::downstream {

Exchange::Exchange(ExchangeOwner& owner, ExchangeContext context, http::ServerStream& stream)
    : owner_(owner),
      context_(std::move(context)),
      stream_(&stream),
      route_timer_(event::Timer::bind<&Exchange::on_route_timeout>(this)),
      idle_timer_(event::Timer::bind<&Exchange::on_stream_idle>(this)),
      backoff_timer_(event::Timer::bind<&Exchange::on_backoff>(this)) {
  record_.start = context_.executor.now();
  record_.start_wall_us = wall_now_us();
}

Exchange::~Exchange() = default;

// What the cursors and the last verdict allow; none = wait for an event.
Exchange::Do Exchange::next() const {
  if (finished_) return Do::none;
  if (downstream_gone_) return Do::finish;
  if (!begun_) return head_ ? Do::begin : Do::none;
  if (local_reply_) return Do::answer;
  if (response_relayed_) return Do::finish;
  if (attempt_ == nullptr) return retry_due_ ? Do::start_attempt : Do::none;
  if (!response_accepted_ && (attempt_->head || attempt_->state() == route::Attempt::State::failed)) {
    return Do::judge_attempt;
  }
  return Do::relay;
}

void Exchange::step() {
  for (;;) {
    switch (next()) {
      case Do::begin: begin(); break;  // the route, its headers; may end in a local reply
      case Do::start_attempt: start_attempt(); break;
      case Do::judge_attempt: judge_attempt(); break;  // again, or this is the answer
      case Do::answer: answer(); break;                // ours: no route, no endpoint, out of time …
      case Do::relay:                                  // bodies both ways
        relay();
        if (next() == Do::relay) return;  // moved what could be moved
        break;
      case Do::finish:
        complete();
        owner_.retire(*this);  // `this` waits for the end of the turn
        return;
      case Do::none: return;
    }
  }
}

// === request ===

void Exchange::on_request_head(http::RequestHead&& head, bool end) {
  head_.emplace(std::move(head));
  request_ended_ = end;
  if (end) record_.request_end = context_.executor.now();
  note_progress();
  context_.executor.ready(*this);
}

void Exchange::on_body(Chain&& data, bool end) {
  record_.request_body_bytes += data.size();
  unconsumed_request_ += data.size();
  request_body_.append(std::move(data));
  if (end) {
    request_ended_ = true;
    record_.request_end = context_.executor.now();
  }
  note_progress();
  context_.executor.ready(*this);
}

void Exchange::on_trailers(http::HeaderMap&& trailers) {
  request_trailers_.emplace(std::move(trailers));
  request_ended_ = true;
  record_.request_end = context_.executor.now();
  note_progress();
  context_.executor.ready(*this);
}

void Exchange::begin() {
  begun_ = true;
  record_.request = &*head_;
  record_.version = head_->version;
  record_.original_path = head_->path;
  if (context_.routes == nullptr) {
    fail({Code::no_route, Side::local, Retry::never, 0, "the route configuration has not arrived"});
    return;
  }
  match_ = route::match(*context_.routes, *head_, context_.executor.random);
  if (match_.virtual_host != nullptr) record_.virtual_host = match_.virtual_host->name;
  if (match_.route == nullptr) {
    fail({Code::no_route, Side::local, Retry::never, 0, "no route matches"});
    return;
  }
  record_.route_name = match_.route->name;
  action_ = std::get_if<config::RouteAction>(&match_.route->action);
  if (action_ == nullptr) {
    fail({Code::direct_response, Side::local, Retry::never, 0, "the route answers by itself"});
    return;
  }
  const config::WeightedCluster* chosen = route::pick_cluster(*action_, context_.executor.random);
  std::string_view name = chosen != nullptr ? std::string_view(chosen->cluster) : std::string_view();
  if (!action_->cluster_header.empty()) {
    name = route::header_value(*head_, action_->cluster_header).value_or(std::string_view());
  }
  cluster_ = context_.clusters.find(name);
  if (cluster_ == nullptr) {
    fail({Code::no_cluster, Side::local, Retry::never, 0, "the route's cluster is not known"});
    return;
  }
  record_.cluster = cluster_->config().name;
  const config::RetryPolicy* policy = action_->retry               ? &*action_->retry
                                      : match_.virtual_host->retry ? &*match_.virtual_host->retry
                                                                   : nullptr;
  retry_.emplace(policy, *head_, !head_->upgrade.empty());
}

void Exchange::start_attempt() {
  retry_due_ = false;
  ++record_.attempts_total;
  attempt_ = std::make_unique<route::Attempt>(*this, *cluster_, context_.executor);
  route::AttemptOptions options;
  options.downstream_version = head_->version;
  options.auto_host_rewrite = action_->auto_host_rewrite;
  options.pick.priority = action_->priority;
  options.pick.original_destination = record_.downstream_local;
  const config::RetryPolicy* policy = action_->retry ? &*action_->retry : nullptr;
  if (policy != nullptr) {
    options.per_try_timeout = policy->per_try_timeout;
    options.per_try_idle_timeout = policy->per_try_idle_timeout;
    if (policy->previous_hosts) {
      options.pick.avoid = tried_;
      options.pick.attempts_max = std::max(policy->host_selection_attempts, 1u);
    }
  }
  // The body goes out anew from the replay buffer: what the last attempt was given, and what came since.
  if (!replay_.empty()) {
    replay_.append(std::move(request_body_));
    request_body_ = std::move(replay_);
  }
  request_relayed_ = request_ended_ && request_body_.empty() && !request_trailers_;
  attempt_->start(*head_, request_relayed_, options);
}

void Exchange::relay_request() {
  if (request_relayed_ || !attempt_->can_send()) return;
  if (!request_body_.empty()) {
    if (replay_possible_) {
      replay_possible_ = replay_.size() + request_body_.size() <= kReplayBytesMax;
      if (replay_possible_) {
        replay_.append_shared(request_body_);
      } else {
        replay_.clear();
      }
    }
    attempt_->send_body(std::move(request_body_), request_ended_ && !request_trailers_);
  } else if (request_ended_ && !request_trailers_) {
    attempt_->send_body({}, true);
  }
  if (request_ended_) {
    if (request_trailers_) attempt_->send_trailers(*request_trailers_);
    request_relayed_ = true;
    if (action_->timeout.count() > 0 && !record_.upgraded) {
      route_timer_.start_after(context_.executor.timers, action_->timeout);
    }
  }
}

// === response ===

void Exchange::judge_attempt() {
  filter::AttemptRecord tried{.endpoint = attempt_->endpoint_address(), .error = attempt_->failure()};
  tried.status = attempt_->head ? attempt_->head->status : 0;
  tried.took = context_.executor.now() - attempt_->started();
  if (record_.attempts.size() < filter::ExchangeRecord::kAttemptsKept) record_.attempts.push_back(tried);
  record_.upstream_address = tried.endpoint;
  record_.upstream_version = attempt_->version();
  const bool failed = attempt_->state() == route::Attempt::State::failed;
  if (response_head_sent_) return;
  const bool can_replay = replay_possible_ || !attempt_->sent_anything();
  const route::RetryState::Decision decision =
      retry_->judge(*attempt_, can_replay, *cluster_, action_->priority, context_.executor.random);
  if (decision.retry) {
    tried_.push_back(attempt_->endpoint_address());
    retire_attempt();
    request_relayed_ = false;
    retry_later(decision.backoff);
    return;
  }
  if (failed) {
    fail(attempt_->failure());
    return;
  }
  retry_->done();
  response_accepted_ = true;
  record_.upstream_first_byte = context_.executor.now();
}

void Exchange::retry_later(Duration backoff) {
  if (backoff.count() == 0) {
    retry_due_ = true;
  } else {
    backoff_timer_.start_after(context_.executor.timers, backoff);
  }
}

void Exchange::relay() {
  relay_request();
  const bool congested = attempt_->is_congested() || request_body_.size() > kHeldBytesMax;
  if (congested != reading_paused_) {
    reading_paused_ = congested;
    congested ? owner_.pause_reading() : owner_.resume_reading();
  }
  if (!congested && unconsumed_request_ > 0 && request_body_.empty()) {
    stream_->consume(unconsumed_request_);
    unconsumed_request_ = 0;
  }
  if (response_accepted_) relay_response();
  owner_.touch();
}

void Exchange::send_response_head() {
  http::ResponseHead& head = *attempt_->head;
  response_head_sent_ = true;
  record_.upgraded = head.status == 101;
  record_.status = head.status;
  record_.response = &head;
  record_.response_begin = context_.executor.now();
  stream_->send_head(head, attempt_->response_ended && attempt_->body.empty() && !attempt_->trailers);
}

void Exchange::relay_response() {
  const bool nothing_follows = attempt_->response_ended && attempt_->body.empty() && !attempt_->trailers;
  if (!response_head_sent_) {
    send_response_head();
    if (nothing_follows) response_relayed_ = true;
  }
  if (!attempt_->body.empty()) {
    record_.response_body_bytes += attempt_->body.size();
    unconsumed_response_ += attempt_->body.size();
    const bool last = attempt_->response_ended && !attempt_->trailers;
    stream_->send_body(std::move(attempt_->body), last);
    response_relayed_ = last;
    note_progress();
  } else if (attempt_->response_ended && !attempt_->trailers && !response_relayed_) {
    stream_->send_body({}, true);
    response_relayed_ = true;
  }
  if (attempt_->trailers && !response_relayed_) {
    stream_->send_trailers(*attempt_->trailers);
    response_relayed_ = true;
  }
  if (stream_->is_congested()) {
    attempt_->pause_reading();
  } else {
    attempt_->resume_reading();
    attempt_->consume(unconsumed_response_);
    unconsumed_response_ = 0;
  }
  if (attempt_->state() == route::Attempt::State::failed && !response_relayed_) {
    record_.failure = attempt_->failure();
    stream_->reset(Code::upstream_reset_after_response);  // a response cut short must not look like a whole one
    stream_ = nullptr;
    response_relayed_ = true;
  }
}

// === failure ===

void Exchange::fail(const Error& why) {
  local_reply_ = why;
  record_.failure = why;
}

void Exchange::on_reset(const Error& why) {
  downstream_gone_ = true;
  if (record_.failure.code == Code::ok) {
    record_.failure = {Code::downstream_gone, Side::downstream, Retry::never, why.os, why.what};
  }
  context_.executor.ready(*this);
}

void Exchange::abandon(const Error& why) {
  on_reset(why);
}

void Exchange::on_route_timeout() {
  cluster_->add_stat(cluster_->stats().upstream_rq_timeout);
  if (!response_head_sent_) {
    fail({Code::request_timeout, Side::local, Retry::never, 0, "the route's timeout"});
  } else if (stream_ != nullptr) {
    record_.failure = {Code::request_timeout, Side::local, Retry::never, 0, "the route's timeout, within the response"};
    stream_->reset(Code::request_timeout);
    stream_ = nullptr;
    response_relayed_ = true;
  }
  context_.executor.ready(*this);
}

void Exchange::on_stream_idle() {
  if (!response_head_sent_) {
    begun_ = true;
    fail({Code::stream_idle_timeout, Side::local, Retry::never, 0, "nothing moved within the stream's idle timeout"});
  } else {
    downstream_gone_ = true;
    record_.failure = {Code::stream_idle_timeout, Side::local, Retry::never, 0, "the stream's idle timeout"};
  }
  context_.executor.ready(*this);
}

void Exchange::note_progress() {
  const Duration idle =
      action_ != nullptr && action_->idle_timeout ? *action_->idle_timeout : context_.manager.stream_idle_timeout;
  if (idle.count() > 0) idle_timer_.start_after(context_.executor.timers, idle);
}

// A failure as a response: Envoy's status codes. The text for people goes into the access log, not to the client.
void Exchange::answer() {
  retire_attempt();
  const Error why = *std::exchange(local_reply_, std::nullopt);
  auto* head =
      new (arena_.allocate(sizeof(http::ResponseHead), alignof(http::ResponseHead))) http::ResponseHead(arena_);
  head->status = info(why.code).http_status;
  if (const auto* direct =
          match_.route != nullptr ? std::get_if<config::DirectResponse>(&match_.route->action) : nullptr;
      direct != nullptr && why.code == Code::direct_response) {
    head->status = direct->status;
  }
  head->content_length = 0;
  record_.status = head->status;
  record_.response_begin = context_.executor.now();
  stream_->send_head(*head, true);
  head->~ResponseHead();
  response_head_sent_ = true;
  response_relayed_ = true;
}

// === teardown ===

void Exchange::retire_attempt() {
  if (attempt_ == nullptr) return;
  attempt_->cancel(Code::local_close);
  context_.executor.retire(std::move(attempt_));
}

void Exchange::complete() {
  finished_ = true;
  record_.end = context_.executor.now();
  route_timer_.stop();
  idle_timer_.stop();
  backoff_timer_.stop();
  retire_attempt();
  if (reading_paused_) owner_.resume_reading();
  if (stream_ != nullptr) {
    stream_->detach();
    stream_ = nullptr;
  }
  owner_.touch();
}

}  // namespace pillion::downstream
