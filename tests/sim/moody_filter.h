// An HTTP filter that holds, stops, and now and then answers or resets, as chance has it; and that is particular about
// how it is asked: the head first, pieces in order, one end, nothing after it, and completed once.
#pragma once

#include <memory>

#include "proxy/base/check.h"
#include "proxy/filter/filter.h"

namespace pillion::sim {

class MoodyFilter final : public filter::Filter {
 public:
  explicit MoodyFilter(filter::FilterContext& context) : context_(context) { context_.count(0); }
  ~MoodyFilter() override { PILLION_CHECK(completed_); }

  filter::Hooks hooks() const override { return 0xffff; }
  filter::Verdict on_request_head(http::RequestHead&, bool end) override { return see_head(ways_[0], end); }
  filter::Verdict on_request_body(Chain& body, bool end) override { return see_body(ways_[0], body, end); }
  filter::Verdict on_request_trailers(http::HeaderMap&) override { return see_end(ways_[0]); }
  filter::Verdict on_response_head(http::ResponseHead&, bool end) override { return see_head(ways_[1], end); }
  filter::Verdict on_response_body(Chain& body, bool end) override { return see_body(ways_[1], body, end); }
  filter::Verdict on_response_trailers(http::HeaderMap&) override { return see_end(ways_[1]); }
  filter::Verdict on_resume(filter::Direction direction) override {
    Way& way = ways_[static_cast<size_t>(direction)];
    PILLION_CHECK(way.waits && !completed_);
    way.stopped = false;
    return decide(way);
  }
  void on_local_reply(const filter::LocalReply&) override { PILLION_CHECK(!completed_); }
  void on_complete(const filter::ExchangeRecord&) override {
    PILLION_CHECK(!completed_);
    completed_ = true;
    context_.uncount(0);
  }

 private:
  struct Way {
    explicit Way(filter::Direction d) : direction(d), timer(event::Timer::bind<&Way::on_timer>(this)) {}
    void on_timer() { ticket.resume(); }
    filter::Direction direction;
    event::Timer timer;
    filter::Ticket ticket;
    bool head = false, end = false, waits = false, stopped = false;
  };

  filter::Verdict see_head(Way& way, bool end) {
    PILLION_CHECK(!way.head && !completed_);
    way.head = true;
    way.end = end;
    return decide(way);
  }
  filter::Verdict see_body(Way& way, Chain& body, bool end) {
    PILLION_CHECK(way.head && !way.end && !way.stopped && !completed_ && (end || !body.empty()));
    way.end = end;
    return decide(way);
  }
  filter::Verdict see_end(Way& way) {
    PILLION_CHECK(way.head && !way.end && !way.stopped && !completed_);
    way.end = true;
    return decide(way);
  }

  filter::Verdict decide(Way& way) {
    Random& random = context_.executor().random;
    const uint64_t dice = random.below(1000);
    way.waits = dice < 300;
    if (dice >= 303) return {};
    if (dice >= 300) {
      const Error why{Code::denied, Side::local, Retry::never, 0, "a mood"};
      if (dice == 302) return filter::Verdict::reset(why);
      return filter::Verdict::reply(
          *context_.arena().make<filter::LocalReply>(filter::LocalReply{.status = 403, .body = "no"}), why);
    }
    way.ticket = context_.ticket(way.direction);
    if (random.below(10) == 0) {
      way.ticket.resume();  // at once, before it even waits
    } else {
      way.timer.start_after(context_.executor().timers, Duration{static_cast<int64_t>(random.below(30'000))});
    }
    way.stopped = dice < 150;
    return way.stopped ? filter::Verdict::stop() : filter::Verdict::hold();
  }

  filter::FilterContext& context_;
  Way ways_[2] = {Way(filter::Direction::request), Way(filter::Direction::response)};
  bool completed_ = false;
};

class MoodyConfig final : public filter::HttpFilterConfig {
 public:
  std::unique_ptr<filter::Filter> make(filter::FilterContext& context) const override {
    return std::make_unique<MoodyFilter>(context);
  }
  std::span<const filter::FilterStat> stats() const override {
    static constexpr filter::FilterStat kStats[] = {{"moody.alive", StatKind::gauge}};
    return kStats;
  }
};

}  // namespace pillion::sim
