#include "proxy/route/retry.h"

#include <algorithm>
#include <charconv>

namespace pillion::route {
namespace {

using config::RetryOn;

bool is_connect_failure(Code code) {
  return code == Code::connect_failed || code == Code::connect_timeout || code == Code::tls_failed;
}

// Full jitter: uniform in [0, min(base * (2^n - 1), max)), n being the number of this retry, from 1.
Duration backoff(const config::RetryPolicy& policy, uint32_t retry, Random& random) {
  const int64_t base = policy.backoff_base.count();
  const int64_t factor = (int64_t{1} << std::min(retry, 20u)) - 1;
  const int64_t ceiling = std::min(base * factor, policy.backoff_max.count());
  return Duration(ceiling > 0 ? static_cast<int64_t>(random.below(static_cast<uint64_t>(ceiling))) : 0);
}

uint32_t grpc_bit(int status) {
  switch (status) {
    case 1: return static_cast<uint32_t>(RetryOn::grpc_cancelled);
    case 4: return static_cast<uint32_t>(RetryOn::grpc_deadline_exceeded);
    case 8: return static_cast<uint32_t>(RetryOn::grpc_resource_exhausted);
    case 13: return static_cast<uint32_t>(RetryOn::grpc_internal);
    case 14: return static_cast<uint32_t>(RetryOn::grpc_unavailable);
    default: return 0;
  }
}

}  // namespace

RetryState::RetryState(const config::RetryPolicy* policy, const http::RequestHead& head, bool is_upgrade)
    : policy_(policy), idempotent_(http::is_idempotent(head.method)), is_upgrade_(is_upgrade) {}

bool is_retriable_response(const config::RetryPolicy& policy, const http::ResponseHead& head) {
  // Another proxy limited the rate: only a policy that names this asks again.
  if (head.headers.has(http::HeaderId::x_envoy_ratelimited)) return policy.has(RetryOn::envoy_ratelimited);
  const uint16_t s = head.status;
  if (policy.has(RetryOn::server_error) && s >= 500) return true;
  if (policy.has(RetryOn::gateway_error) && s >= 502 && s <= 504) return true;
  if (policy.has(RetryOn::retriable_4xx) && s == 409) return true;
  if (policy.has(RetryOn::retriable_status_codes) &&
      std::find(policy.retriable_status_codes.begin(), policy.retriable_status_codes.end(), s) !=
          policy.retriable_status_codes.end()) {
    return true;
  }
  if (policy.has(RetryOn::retriable_headers)) {
    for (const config::HeaderMatcher& m : policy.retriable_headers) {
      if (m.matches_fields(head.headers)) return true;
    }
  }
  // A gRPC status in the head is a trailers-only answer; one that comes in trailers has a body before it.
  const http::Header* grpc = head.headers.find(http::HeaderId::grpc_status);
  if (grpc == nullptr) return false;
  int status = -1;
  std::from_chars(grpc->value.data(), grpc->value.data() + grpc->value.size(), status);
  return (policy.on & grpc_bit(status)) != 0;
}

bool RetryState::policy_wants(const Attempt& attempt) const {
  if (policy_ == nullptr || policy_->on == 0) return false;
  if (attempt.state() != Attempt::State::failed) return attempt.head && is_retriable_response(*policy_, *attempt.head);
  if (attempt.head) return false;  // a part of the response is out
  const Code code = attempt.failure().code;
  if (code == Code::overflow) return policy_->has(RetryOn::server_error);
  if (is_connect_failure(code)) {
    return policy_->has(RetryOn::connect_failure) || policy_->has(RetryOn::reset) ||
           policy_->has(RetryOn::server_error) || policy_->has(RetryOn::gateway_error) ||
           policy_->has(RetryOn::reset_before_request);
  }
  if (code == Code::refused_stream && policy_->has(RetryOn::refused_stream)) return true;
  if (code == Code::no_healthy_upstream) return false;
  if (policy_->has(RetryOn::reset_before_request) && !attempt.sent_anything()) return true;
  // A per-try timeout counts as a gateway error and as a 5xx, like any reset.
  return policy_->has(RetryOn::reset) || policy_->has(RetryOn::server_error) ||
         (policy_->has(RetryOn::gateway_error) && code != Code::bad_message);
}

// Without any policy: what never ran, or may run twice without harm.
bool RetryState::is_safe(const Attempt& attempt) const {
  if (attempt.state() != Attempt::State::failed || attempt.head || is_upgrade_) return false;
  const Error& why = attempt.failure();
  if (why.code == Code::refused_stream) return true;
  if (!attempt.was_reused()) return false;
  if (why.retry == Retry::safe) return true;  // nothing of it was written yet
  if (why.retry != Retry::if_reused) return false;
  return idempotent_ || attempt.was_unseen();
}

RetryState::Decision RetryState::judge(const Attempt& attempt, bool can_replay, upstream::Cluster& cluster,
                                       uint32_t priority, Random& random) {
  slot_.release();
  Decision d;
  if (is_safe(attempt) && can_replay && safe_replays_ < kSafeReplaysMax) {
    ++safe_replays_;
    cluster.add_stat(cluster.stats().upstream_rq_safe_replay);
    d.retry = d.is_safe_replay = true;
    return d;
  }
  if (!policy_wants(attempt) || !can_replay) return d;
  if (retries_ >= policy_->retries_max) {
    cluster.add_stat(cluster.stats().upstream_rq_retry_limit_exceeded);
    d.limit_exceeded = policy_->retries_max > 0;
    return d;
  }
  upstream::BreakerCounts& counts = cluster.counts(priority);
  // A budget keeps retries from multiplying the load on endpoints. A try that never reached one added none.
  const bool is_free = cluster.limits(priority).retry_budget_percent && attempt.failure().retry == Retry::safe &&
                       attempt.state() == Attempt::State::failed;
  if (!is_free) {
    slot_ = upstream::BreakerSlot::take(counts.retries, upstream::retries_allowed(cluster.limits(priority), counts));
  }
  if (!is_free && !slot_) {
    cluster.add_stat(cluster.stats().upstream_rq_retry_overflow);
    d.budget_exceeded = true;
    return d;
  }
  ++retries_;
  cluster.add_stat(cluster.stats().upstream_rq_retry);
  cluster.add_stat(cluster.stats().upstream_rq_retry_backoff_exponential);
  d.retry = true;
  d.backoff = backoff(*policy_, retries_, random);
  return d;
}

}  // namespace pillion::route
