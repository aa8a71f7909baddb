// What the filters have a say in: their chain, its verdicts, and how much of a message it may keep.
#include "proxy/downstream/exchange.h"

namespace pillion::downstream {

using filter::Direction;
using filter::FilterChain;

void Exchange::make_filters() {
  if (context_.filters.empty() || std::exchange(filters_made_, true)) return;
  filter::RouteLevels levels;
  if (match_.route != nullptr && !wants_tls_) {
    levels = {weighted_, match_.route, match_.virtual_host, routes_.get(), cluster_name_};
  }
  filters_ = FilterChain::make(context_.filters, *this, executor(), arena_, record_, values_, levels);
}

// False where the request has its answer, or its end.
bool Exchange::take(const filter::Verdict& verdict) {
  using Kind = filter::Verdict::Kind;
  if (verdict.kind == Kind::reply) {
    if (response_head_sent_) {
      break_off(verdict.why, verdict.answer->details);
    } else {
      reply(*verdict.answer, verdict.why);
    }
    return false;
  }
  if (verdict.kind != Kind::reset) return true;
  break_off(verdict.why, "");
  return false;
}

// What has come of the request goes as far as the filters let it.
bool Exchange::run_request() {
  filters_->receive(Direction::request, std::move(request_body_), request_ended_,
                    request_trailers_ ? &*request_trailers_ : nullptr);
  if (!take(filters_->run(*head_))) return false;
  if (!filters_->head_passed(Direction::request)) say_continue();  // a filter waits, and the client for this
  if (filters_->is_holding(Direction::request)) {
    if (filters_->waiting_bytes(Direction::request) > FilterChain::kHeldBytesMax) {
      executor().stats.add(context_.stats.downstream_rq_too_large);
      const LocalReply too_large{.status = 413, .body = "Payload Too Large", .details = "request_payload_too_large"};
      return take(filter::Verdict::reply(
          too_large, {Code::resource_limit, Side::local, Retry::never, 0, "a filter needs the whole body"}));
    }
  }
  steer_request_flow();
  return true;
}

bool Exchange::run_response() {
  filters_->receive(Direction::response, std::move(attempt_->body), attempt_->response_ended,
                    attempt_->trailers ? &*attempt_->trailers : nullptr);
  if (!take(filters_->run(*attempt_->head))) return false;
  if (!filters_->is_holding(Direction::response) ||
      filters_->waiting_bytes(Direction::response) <= FilterChain::kHeldBytesMax) {
    return true;
  }
  const LocalReply too_large{.status = 500, .body = "Internal Server Error", .details = "response_payload_too_large"};
  return take(filter::Verdict::reply(
      too_large, {Code::resource_limit, Side::local, Retry::never, 0, "a filter needs the whole response"}));
}

// Our own answers are short: they are sent once all of them has passed.
void Exchange::pass_answer() {
  request_body_.clear();  // nobody reads the rest
  if (answer_filtered_) {
    filters_->receive(Direction::response, std::move(own_body_), true, nullptr);
    if (!take(filters_->run(*own_head_)) || !filters_->ended(Direction::response)) return;
    own_body_ = std::move(filters_->body(Direction::response));
  }
  send_answer();
}

}  // namespace pillion::downstream
