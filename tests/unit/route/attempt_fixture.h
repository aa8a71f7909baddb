// One request through attempts and the retry decision, as an exchange would make it, in a simulated network.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/route/attempt.h"
#include "proxy/route/retry.h"
#include "tests/unit/upstream/pool_fixture.h"

namespace pillion::test {

class Request final : public route::AttemptEvents, public event::Steppable {
 public:
  Request(PoolFixture& fixture, const config::RetryPolicy* policy, std::string_view method = "GET",
          route::AttemptOptions options = {})
      : fixture_(fixture), options_(std::move(options)), policy_(policy), head_(arena_) {
    head_.method = method;
    head_.scheme = "http";
    head_.authority = "web";
    head_.path = "/";
    retry_.emplace(policy, head_, false);
    begin();
  }
  ~Request() { attempt_.reset(); }

  bool done() const { return done_; }
  uint16_t status() const { return attempt_->head ? attempt_->head->status : 0; }
  const Error& failure() const { return attempt_->failure(); }
  route::Attempt& attempt() { return *attempt_; }

  size_t attempts = 0;
  size_t safe_replays = 0;
  route::RetryState::Decision last;
  std::vector<Address> tried;

 private:
  void begin() {
    ++attempts;
    attempt_ = std::make_unique<route::Attempt>(*this, *fixture_.cluster, fixture_.client);
    options_.pick.avoid = tried;
    attempt_->start(head_, true, options_);
  }
  void on_attempt_progress() override { fixture_.client.ready(*this); }
  Arena& arena() override { return arena_; }
  void step() override {
    if (done_) return;
    const bool failed = attempt_->state() == route::Attempt::State::failed;
    if (!failed && !attempt_->head) return;
    if (!judged_) {
      judged_ = true;
      last = retry_->judge(*attempt_, true, *fixture_.cluster, 0, fixture_.client.random);
      if (last.retry) {
        safe_replays += last.is_safe_replay ? 1 : 0;
        tried.push_back(attempt_->endpoint_address());
        attempt_->cancel(Code::local_close);
        fixture_.client.retire(std::move(attempt_));
        backoff_.start_after(fixture_.client.timers, last.backoff);
        return;
      }
    }
    done_ = failed || attempt_->response_ended;
    if (done_) retry_->done();
  }
  void on_backoff() {
    judged_ = false;
    begin();
  }

  PoolFixture& fixture_;
  Arena arena_;
  route::AttemptOptions options_;
  const config::RetryPolicy* policy_;
  http::RequestHead head_;
  std::optional<route::RetryState> retry_;
  std::unique_ptr<route::Attempt> attempt_;
  event::Timer backoff_{event::Timer::bind<&Request::on_backoff>(this)};
  bool judged_ = false;
  bool done_ = false;
};

}  // namespace pillion::test
