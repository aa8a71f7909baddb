// Whether a failed try is made again, and when. Two reasons: the route's retry policy, within its number and the
// cluster's budget; and safe replay, which needs no policy: the request was provably not processed, or was lost on a
// reused connection and is idempotent.
#pragma once

#include <optional>

#include "proxy/config/route.h"
#include "proxy/event/executor.h"
#include "proxy/http/message.h"
#include "proxy/route/attempt.h"

namespace pillion::route {

class RetryState {
 public:
  static constexpr uint32_t kSafeReplaysMax = 3;  // stale connections in a row before the failure is told

  // `policy` may be null; it and `head` must outlive the state. Headers x-envoy-retry-on and x-envoy-max-retries of a
  // trusted client were merged into the policy before.
  RetryState(const config::RetryPolicy* policy, const http::RequestHead& head, bool is_upgrade);

  struct Decision {
    bool retry = false;
    bool is_safe_replay = false;  // not counted against the policy
    Duration backoff{};
    bool limit_exceeded = false;   // the policy would have, but its number is used up: flag URX
    bool budget_exceeded = false;  // … but the cluster's budget is: flag UO in the record
  };
  // `can_replay`: the request's body so far is still in the replay buffer. Takes a slot of the cluster's retry budget
  // when it says yes; the slot is held until done() or the next decision.
  Decision judge(const Attempt& attempt, bool can_replay, upstream::Cluster& cluster, uint32_t priority,
                 Random& random);
  // The retry that was granted has its answer.
  void done() { slot_.release(); }
  uint32_t retries_made() const { return retries_; }

 private:
  bool policy_wants(const Attempt& attempt) const;
  bool is_safe(const Attempt& attempt) const;

  const config::RetryPolicy* policy_;
  bool idempotent_;
  bool is_upgrade_;
  uint32_t retries_ = 0;
  uint32_t safe_replays_ = 0;
  upstream::BreakerSlot slot_;
};

// Whether `status` or the gRPC status of a response is one that the policy retries.
bool is_retriable_response(const config::RetryPolicy& policy, const http::ResponseHead& head);

}  // namespace pillion::route
