#include "proxy/downstream/exchange.h"

#include <algorithm>

#include "proxy/route/mutation.h"

namespace pillion::downstream {

Exchange::Exchange(const ExchangeContext& context, http::ServerStream& stream, http::Version version)
    : context_(context),
      stream_(&stream),
      request_timer_(event::Timer::bind<&Exchange::on_request_late>(this)),
      route_timer_(event::Timer::bind<&Exchange::on_route_timeout>(this)),
      idle_timer_(event::Timer::bind<&Exchange::on_stream_idle>(this)),
      duration_timer_(event::Timer::bind<&Exchange::on_max_duration>(this)),
      backoff_timer_(event::Timer::bind<&Exchange::on_backoff>(this)) {
  record_.start = now();
  record_.start_wall_us = wall_now_us();
  record_.version = version;
  record_.stream_id = stream.id();
  record_.connection_id = context.info.id;
  record_.downstream_remote = record_.downstream_direct_remote = context.peer.address;
  record_.downstream_local = context.info.local;
  record_.downstream_tls = context.tls;
  record_.sni = *context.info.sni;
  if (context.info.chain != nullptr) record_.filter_chain = context.info.chain->name;
  start_timers();
}

std::unique_ptr<Exchange> Exchange::make(const ExchangeContext& context, http::ServerStream& stream,
                                         http::Version version) {
  BlockPool& pool = context.services.executor.blocks;
  std::unique_ptr<Exchange> made(new (pool) Exchange(context, stream, version));
  made->arena_.start_in({reinterpret_cast<char*>(made.get() + 1), BlockPool::kRoomBytes - sizeof(Exchange)}, pool);
  return made;
}

Exchange::~Exchange() = default;

// What the cursors and the last verdict allow; none = wait for an event.
Exchange::Do Exchange::next() const {
  if (finished_) return Do::none;
  if (downstream_gone_ || response_relayed_) return Do::finish;
  if (local_reply_) return Do::answer;
  if (own_head_) return Do::pass_answer;
  if (!begun_) return head_ ? Do::begin : Do::none;
  if (!routed_) {
    const bool passed = filters_ == nullptr || filters_->head_passed(filter::Direction::request);
    return passed ? Do::choose_upstream : Do::run_request;
  }
  if (attempt_ == nullptr) return retry_due_ ? Do::start_attempt : Do::none;
  if (!response_accepted_ && (attempt_->head || attempt_->state() == route::Attempt::State::failed)) {
    return Do::judge_attempt;
  }
  return Do::relay;
}

void Exchange::step() {
  for (;;) {
    switch (next()) {
      case Do::begin: begin(); break;  // who asks, which route
      case Do::run_request:            // through the filters
        run_request();
        if (next() == Do::run_request) return;  // one of them waits
        break;
      case Do::choose_upstream: choose_upstream(); break;  // where to; may end in a local reply
      case Do::start_attempt: start_attempt(); break;
      case Do::judge_attempt: judge_attempt(); break;  // again, or this is the answer
      case Do::answer: answer(); break;                // ours: no route, no endpoint, out of time …
      case Do::pass_answer:
        pass_answer();
        if (next() == Do::pass_answer) return;
        break;
      case Do::relay:  // bodies both ways
        relay();
        if (next() == Do::relay) return;  // moved what could be moved
        break;
      case Do::finish:
        complete();
        context_.owner.retire(*this);  // `this` waits for the end of the turn
        return;
      case Do::none: return;
    }
  }
}

// === request ===

void Exchange::on_request_head(http::RequestHead&& head, bool end) {
  head_.emplace(std::move(head));
  record_.version = head_->version;
  if (end) end_request();
  note_progress();
  mark_ready();
}

void Exchange::on_body(Chain&& data, bool end) {
  record_.request_body_bytes += data.size();
  unconsumed_request_ += data.size();
  request_body_.append(std::move(data));
  if (end) end_request();
  note_progress();
  mark_ready();
}

void Exchange::on_trailers(http::HeaderMap&& trailers) {
  // On HTTP/1 they pass only where enable_trailers asks for it.
  if (is_http2() || context_.manager.h1_trailers) request_trailers_.emplace(std::move(trailers));
  end_request();
  note_progress();
  mark_ready();
}

void Exchange::end_request() {
  request_ended_ = true;
  record_.request_end = now();
  request_timer_.stop();
  if (routed_) start_route_timer();
}

void Exchange::start_attempt() {
  retry_due_ = false;
  ++record_.attempts_total;
  if (record_.attempts_total > 1) set_retry_headers();
  attempt_.reset(new (executor().blocks) route::Attempt(*this, *cluster_, executor()));
  // The body goes out anew from the replay buffer: what the last attempt was given, and what came since.
  Chain& body = body_to_send();
  if (!replay_.empty()) {
    replay_.append(std::move(body));
    body = std::move(replay_);
  }
  request_relayed_ = request_is_whole() && body.empty() && !request_trailers_;
  attempt_->start(*head_, request_relayed_, attempt_options());
}

bool Exchange::request_is_whole() const {
  return filters_ == nullptr ? request_ended_ : filters_->ended(filter::Direction::request);
}

Chain& Exchange::body_to_send() {
  return filters_ == nullptr ? request_body_ : filters_->body(filter::Direction::request);
}

void Exchange::relay_request() {
  if (filters_ != nullptr && !request_is_whole() && !run_request()) return;
  if (request_relayed_ || !attempt_->can_send()) return;
  Chain& body = body_to_send();
  const bool whole = request_is_whole();
  if (body.empty() && !whole) return;
  const bool end = whole && !request_trailers_;
  if (!body.empty() && replay_possible_) {
    replay_possible_ = !record_.upgraded && replay_.size() + body.size() <= kReplayBytesMax;
    if (replay_possible_) {
      replay_.append_shared(body);
    } else {
      replay_.clear();
    }
  }
  if (!body.empty() || end) attempt_->send_body(std::move(body), end);
  if (!whole) return;
  if (request_trailers_) attempt_->send_trailers(*request_trailers_);
  request_relayed_ = true;
}

// The client sends no faster than the endpoint takes: HTTP/2 by windows, HTTP/1 by the socket.
void Exchange::steer_request_flow() {
  const size_t waiting = filters_ == nullptr ? 0 : filters_->waiting_bytes(filter::Direction::request);
  const bool full = body_to_send().size() + waiting > kHeldBytesMax;
  const bool congested = full || (attempt_ != nullptr && attempt_->is_congested());
  if (congested != reading_paused_) {
    reading_paused_ = congested;
    congested ? context_.owner.pause_reading() : context_.owner.resume_reading();
  }
  // A filter that holds asks for more; one that stops the request does not.
  const bool stopped = waiting > 0 && !filters_->is_holding(filter::Direction::request);
  if (!congested && !stopped && unconsumed_request_ > 0 && body_to_send().empty()) {
    stream_->consume(unconsumed_request_);
    unconsumed_request_ = 0;
    context_.owner.touch();
  }
}

// === response ===

void Exchange::record_attempt() {
  filter::AttemptRecord tried{.endpoint = attempt_->endpoint_address(), .error = attempt_->failure()};
  tried.status = attempt_->head ? attempt_->head->status : 0;
  tried.took = now() - attempt_->started();
  if (!tried.endpoint.is_none()) record_.upstream_address = tried.endpoint;
  if (record_.attempts.size() < filter::ExchangeRecord::kAttemptsKept) record_.attempts.push_back(std::move(tried));
  record_.upstream_version = attempt_->version();
  record_.upstream_local_address = attempt_->local_address();
}

void Exchange::judge_attempt() {
  record_attempt();
  const bool can_replay = replay_possible_ || !attempt_->sent_anything();
  const uint32_t priority = action_->priority;
  const route::RetryState::Decision decision =
      retry_->judge(*attempt_, can_replay, *cluster_, priority, executor().random);
  record_.retry_limit_exceeded = decision.limit_exceeded;
  if (decision.retry) {
    if (retry_policy_ != nullptr && retry_policy_->previous_hosts) tried_.push_back(attempt_->endpoint_address());
    retire_attempt();
    request_relayed_ = false;
    if (decision.backoff.count() == 0) {
      retry_due_ = true;
    } else {
      backoff_timer_.start_after(executor().timers, decision.backoff);
    }
    return;
  }
  if (!attempt_->head) {
    fail_attempt(attempt_->failure());
    return;
  }
  retry_->done();
  response_accepted_ = true;
  record_.upstream_first_byte = now();
}

void Exchange::relay() {
  relay_request();
  if (local_reply_ || response_relayed_) return;  // a filter ended it
  steer_request_flow();
  if (!attempt_->informational.empty()) pass_informational();
  if (response_accepted_) relay_response();
  context_.owner.touch();
}

// 100 was said by us already, where the client waited for it; others are the client's to see (RFC 9110 15.2).
void Exchange::pass_informational() {
  for (http::ResponseHead& head : attempt_->informational) {
    if (head.status == 100 || response_head_sent_) continue;
    if (filters_ != nullptr) filters_->on_informational(head);
    stream_->send_informational(head);
  }
  attempt_->informational.clear();
  note_progress();
}

void Exchange::send_response_head(bool end) {
  http::ResponseHead& head = *attempt_->head;
  record_.upgraded = head.status == 101 || (head_->method == "CONNECT" && head.status / 100 == 2);
  if (record_.upgraded) {
    route_timer_.stop();
    context_.services.executor.stats.add(context_.stats.downstream_cx_upgrades_total);
    context_.services.executor.stats.add(context_.stats.downstream_cx_upgrades_active);
  }
  // What follows a refused upgrade may be the other protocol's first bytes; they must not be read as a request.
  if (!record_.upgraded && (!head_->upgrade.empty() || head_->method == "CONNECT")) context_.owner.end_after_answer();
  record_.status = head.status;
  finish_head(head);
  response_head_sent_ = true;
  record_.response_begin = now();
  stream_->send_head(head, end);
}

void Exchange::relay_response() {
  if (!std::exchange(response_changed_, true)) change_response(*attempt_->head, true);
  unconsumed_response_ += attempt_->body.size();
  if (attempt_->response_ended) route_timer_.stop();  // how long a filter takes is not the endpoint's time
  if (!filters_see_response()) {
    pass_response(attempt_->body, attempt_->response_ended);
  } else {
    if (!run_response()) return;
    if (filters_->head_passed(filter::Direction::response)) {
      pass_response(filters_->body(filter::Direction::response), filters_->ended(filter::Direction::response));
    }
  }
  steer_response_flow();
  // What a filter keeps of a whole response is still to come.
  const bool broke = attempt_->state() == route::Attempt::State::failed && !attempt_->response_ended;
  if (broke && !response_relayed_) {
    Error why = attempt_->failure();
    // HTTP/1 says the length: a FIN within it breaks the protocol, and is told apart from a reset.
    if (why.code == Code::peer_closed && attempt_->version() != http::Version::http2) why.code = Code::bad_message;
    why.side = Side::upstream;
    if (!response_head_sent_) return fail_attempt(why);
    break_off(why, details_of_broken_response(why, arena_));
  }
}

void Exchange::pass_response(Chain& body, bool ended) {
  const bool last = ended && !attempt_->trailers;
  if (!response_head_sent_) {
    const bool end = last && body.empty();
    send_response_head(end);
    note_progress();
    if (end) response_relayed_ = true;
  }
  if (!body.empty()) {
    record_.response_body_bytes += body.size();
    stream_->send_body(std::move(body), last);
    response_relayed_ = last;
    note_progress();
  }
  if (ended && !response_relayed_) send_response_end();
}

void Exchange::send_response_end() {
  if (attempt_->trailers) {
    record_.response_trailers = &*attempt_->trailers;
    if (is_http2() || context_.manager.h1_trailers) {
      stream_->send_trailers(*attempt_->trailers);
    } else {
      stream_->send_body({}, true);
    }
  } else {
    stream_->send_body({}, true);
  }
  response_relayed_ = true;
}

// The endpoint sends no faster than the client takes.
void Exchange::steer_response_flow() {
  const bool stopped = filters_see_response() && filters_->waiting_bytes(filter::Direction::response) > 0 &&
                       !filters_->is_holding(filter::Direction::response);
  if (stopped || stream_->is_congested()) {
    attempt_->pause_reading();
    return;
  }
  attempt_->resume_reading();
  if (unconsumed_response_ > 0) attempt_->consume(unconsumed_response_);
  unconsumed_response_ = 0;
}

// The router's changes, before the filters.
void Exchange::change_response(http::ResponseHead& head, bool from_upstream) {
  http::HeaderMap& headers = head.headers;
  record_.status = head.status;
  record_.response = &head;
  if (from_upstream) record_.details = "via_upstream";
  if (from_upstream && !context_.manager.suppress_envoy_headers) {
    headers.set(http::HeaderId::x_envoy_upstream_service_time,
                arena_.copy(std::to_string(to_ms(now() - attempt_->started()))));
  }
  if (action_ != nullptr && match_.virtual_host->include_attempt_count_in_response && record_.attempts_total > 0) {
    headers.set(http::HeaderId::x_envoy_attempt_count, arena_.copy(std::to_string(record_.attempts_total)));
  }
  // A route that answers by itself changes that answer only, and not one that a filter gives in its place.
  if (action_ != nullptr || (match_.route != nullptr && record_.failure.code == Code::direct_response)) {
    route::mutate_response(*routes_, match_, weighted_, values_, head);
  }
}

// The connection manager's, after them.
void Exchange::finish_head(http::ResponseHead& head) {
  const int64_t wall_us = record_.start_wall_us + (now() - record_.start).count();
  finish_response(context_.manager, head_ ? &*head_ : nullptr, context_.services.date.at(wall_us), head);
}

// Ours: the status and words of Envoy.
void Exchange::answer() {
  if (attempt_ != nullptr) retire_attempt();
  route_timer_.stop();
  make_filters();  // the request may have been refused before it had any
  const LocalReply reply = *std::exchange(local_reply_, std::nullopt);
  own_head_.emplace(arena_);
  own_body_.clear();
  const bool grpc = head_ && http::is_grpc(head_->headers);
  const std::string_view body = write_local_reply(reply, grpc, *own_head_);
  if (!body.empty() && !(head_ && head_->method == "HEAD")) own_body_.append(executor().chunks, body);
  record_.details = reply.details;
  change_response(*own_head_, false);
  if (reply.ends_connection || !request_ended_) context_.owner.end_after_answer();  // the rest is not read
  // What replaces a response that filters have begun to see is not for them: they would see two.
  answer_filtered_ = filters_see_response() && !filters_->has_begun(filter::Direction::response);
  if (filters_ != nullptr) filters_->on_local_reply(reply);
}

void Exchange::send_answer() {
  const bool end = own_body_.empty();
  record_.status = own_head_->status;
  finish_head(*own_head_);
  record_.response_begin = now();
  response_head_sent_ = response_relayed_ = true;
  stream_->send_head(*own_head_, end);
  if (!end) {
    record_.response_body_bytes += own_body_.size();
    stream_->send_body(std::move(own_body_), true);
  }
  context_.owner.touch();
}

}  // namespace pillion::downstream
