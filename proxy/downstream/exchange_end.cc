// How an exchange fails, runs out of time, and ends.
#include "proxy/downstream/access_log.h"
#include "proxy/downstream/exchange.h"

namespace pillion::downstream {

// === failure ===

void Exchange::reply(const LocalReply& reply, const Error& why) {
  local_reply_ = reply;
  record_.failure = why;
}

void Exchange::fail_attempt(const Error& why) {
  const std::string_view transport = transport_failure_of(why, arena_);
  record_.transport_failure = transport;
  const bool retried = record_.attempts_total > 1;
  Error told = why;
  if (told.side == Side::downstream) told.side = Side::upstream;
  reply(reply_to_failure(told, retried, transport, arena_), told);
}

// A response cut short must not look like a whole one. Also the end that a filter puts to a request without an answer.
void Exchange::break_off(const Error& why, std::string_view details) {
  record_.failure = why;
  record_.details = details;
  if (response_head_sent_) executor().stats.add(context_.stats.rq_reset_after_downstream_response_started);
  executor().stats.add(context_.stats.downstream_rq_tx_reset);
  stream_->reset(why.code);
  stream_ = nullptr;
  response_relayed_ = true;
  context_.owner.touch();
}

void Exchange::on_reset(const Error& why) {
  const bool refused =
      why.code == Code::bad_message || why.code == Code::head_too_large || why.code == Code::unsupported;
  if (refused && !response_head_sent_) {
    Error told = why;
    told.side = Side::downstream;
    if (why.code == Code::head_too_large) executor().stats.add(context_.stats.downstream_rq_too_large);
    begun_ = true;
    reply(reply_to_refusal(told, record_.version), told);
  } else {
    downstream_gone_ = true;
    executor().stats.add(context_.stats.downstream_rq_rx_reset);
    record_.failure = {Code::downstream_gone, Side::downstream, Retry::never, why.os, why.what};
    record_.details = why.code == Code::stream_reset ? "http2.remote_reset"
                      : why.side == Side::local      ? "downstream_local_disconnect"
                                                     : "downstream_remote_disconnect";
  }
  mark_ready();
}

// === timers ===

void Exchange::start_timers() {
  const config::HttpConnectionManager& manager = context_.manager;
  event::TimerQueue& timers = executor().timers;
  idle_timeout_ = manager.stream_idle_timeout;
  note_progress();
  if (manager.request_headers_timeout.count() > 0) {
    request_timer_.start_after(timers, manager.request_headers_timeout);
  } else if (manager.request_timeout.count() > 0) {
    request_timer_.start_after(timers, manager.request_timeout);
  }
  if (manager.max_stream_duration.count() > 0) duration_timer_.start_after(timers, manager.max_stream_duration);
}

void Exchange::note_progress() {
  if (idle_timeout_.count() > 0) {
    idle_timer_.start_after(executor().timers, idle_timeout_);
  } else {
    idle_timer_.stop();
  }
}

// From the end of the request to the end of the response.
void Exchange::start_route_timer() {
  if (timeouts_.request.count() > 0 && !record_.upgraded && !route_timer_.is_armed()) {
    route_timer_.start_after(executor().timers, timeouts_.request);
  }
}

// The head, or all of the request, took too long. The first deadline leads on to the second.
void Exchange::on_request_late() {
  const Duration whole = context_.manager.request_timeout;
  const bool head_only = context_.manager.request_headers_timeout.count() > 0;
  if (request_ended_) return;
  if (head_only && head_ && now() - record_.start < whole) {
    request_timer_.start(executor().timers, record_.start + whole);
    return;
  }
  if (head_only && head_ && whole.count() == 0) return;
  if (response_head_sent_) return;
  const bool late_head = !head_ && head_only;
  executor().stats.add(late_head ? context_.stats.downstream_rq_header_timeout : context_.stats.downstream_rq_timeout);
  begun_ = true;
  reply({.status = 408,
         .body = late_head ? "request header timeout" : "request timeout",
         .details = late_head ? "request_header_timeout" : "request_overall_timeout",
         .ends_connection = true},
        {Code::request_timeout, Side::downstream, Retry::never, 0, "the request did not arrive in time"});
  mark_ready();
}

void Exchange::on_route_timeout() {
  if (response_relayed_) return;
  cluster_->add_stat(cluster_->stats().upstream_rq_timeout);
  if (attempt_ != nullptr && !response_accepted_) record_attempt();
  const Error why{Code::request_timeout, Side::local, Retry::never, 0, "no response within the route's timeout"};
  if (!response_head_sent_) {
    reply(reply_to_failure(why, false, "", arena_), why);
  } else if (stream_ != nullptr) {
    break_off(why, details_of_broken_response(why, arena_));
  }
  mark_ready();
}

void Exchange::on_stream_idle() {
  if (response_relayed_) return;
  executor().stats.add(context_.stats.downstream_rq_idle_timeout);
  const Error why{Code::stream_idle_timeout, Side::local, Retry::never, 0, "nothing moved on the stream"};
  if (response_head_sent_ && stream_ != nullptr) {
    break_off(why, "stream_idle_timeout");
  } else {
    begun_ = true;
    const uint16_t status = request_ended_ ? 504 : 408;
    reply({.status = status, .body = "stream timeout", .details = "stream_idle_timeout"}, why);
  }
  mark_ready();
}

void Exchange::on_max_duration() {
  if (response_relayed_) return;
  executor().stats.add(context_.stats.downstream_rq_max_duration_reached);
  const Error why{Code::max_duration, Side::local, Retry::never, 0, "max_stream_duration"};
  if (response_head_sent_ && stream_ != nullptr) {
    break_off(why, "max_duration_timeout");
  } else {
    begun_ = true;
    const uint16_t status = request_ended_ ? 504 : 408;
    reply(
        {.status = status, .body = "downstream duration timeout", .details = "max_duration_timeout", .grpc_status = 4},
        why);
  }
  mark_ready();
}

void Exchange::on_backoff() {
  retry_due_ = true;
  mark_ready();
}

// === the end ===

void Exchange::retire_attempt() {
  if (attempt_ == nullptr) return;
  attempt_->cancel(Code::local_close);
  executor().retire(std::move(attempt_));
}

void Exchange::complete() {
  finished_ = true;
  record_.end = now();
  if (!response_head_sent_) {  // a filter may have kept it back
    record_.status = 0;
    record_.response = nullptr;
  }
  request_timer_.stop();
  route_timer_.stop();
  idle_timer_.stop();
  duration_timer_.stop();
  backoff_timer_.stop();
  count_completion();
  if (filters_ != nullptr) filters_->on_complete(record_);
  write_logs();
  filters_.reset();  // with the timers and tickets that they have
  retire_attempt();
  if (reading_paused_) context_.owner.resume_reading();
  if (stream_ != nullptr) {
    stream_->detach();
    stream_ = nullptr;
  }
  context_.owner.touch();
}

void Exchange::count_completion() {
  const HttpStats& ids = context_.stats;
  StatSlab& stats = executor().stats;
  stats.sub(ids.downstream_rq_active);
  if (record_.upgraded) stats.sub(ids.downstream_cx_upgrades_active);
  stats.record(ids.downstream_rq_time, static_cast<uint64_t>(to_ms(record_.end - record_.start)));
  if (record_.status == 0) return;
  stats.add(ids.downstream_rq_completed);
  if (!request_ended_ && !record_.upgraded) stats.add(ids.downstream_rq_response_before_rq_complete);
  switch (record_.status / 100) {
    case 1: stats.add(ids.downstream_rq_1xx); break;
    case 2: stats.add(ids.downstream_rq_2xx); break;
    case 3: stats.add(ids.downstream_rq_3xx); break;
    case 4: stats.add(ids.downstream_rq_4xx); break;
    default: stats.add(ids.downstream_rq_5xx); break;
  }
}

void Exchange::write_logs() {
  for (const config::AccessLog& log : context_.manager.access_logs) {
    if (is_logged(log, record_)) context_.services.host.log(log.path, access_log_line(log, values_));
  }
}

}  // namespace pillion::downstream
