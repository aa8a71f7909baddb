#include "proxy/event/loop.h"

#include "proxy/base/check.h"

namespace pillion::event {
namespace {

struct StopMessage final : Message {
  explicit StopMessage(Loop& loop) : loop(loop) {}
  void run() override { uv_stop(loop.uv()); }
  Loop& loop;
};

}  // namespace

Loop::Loop(uint64_t seed, StatSlab& stats) : executor_(monotonic_now(), seed, stats) {
  PILLION_CHECK(uv_loop_init(&uv_) == 0);
  timer_ = make_handle<uv_timer_t>(this);
  PILLION_CHECK(uv_timer_init(&uv_, &timer_->uv) == 0);
  timer_->initialised = true;
  prepare_ = make_handle<uv_prepare_t>(this);
  PILLION_CHECK(uv_prepare_init(&uv_, &prepare_->uv) == 0);
  prepare_->initialised = true;
  uv_prepare_start(&prepare_->uv, [](uv_prepare_t* h) {
    if (void* owner = Handle<uv_prepare_t>::of(h)->owner) static_cast<Loop*>(owner)->on_prepare();
  });
  mailbox_ = std::make_shared<Mailbox>(&uv_, Callback::bind<&Loop::refresh_now>(this));
}

Loop::~Loop() {
  is_closing_ = true;
  mailbox_->close();
  residents_.clear();
  executor_.end_turn();
  residents_.clear();
  timer_.reset();
  prepare_.reset();
  // A handle that is still open has an owner that is going to outlive us, and uv_run would wait for it for ever.
  uv_walk(&uv_, [](uv_handle_t* h, void*) { PILLION_CHECK(uv_is_closing(h)); }, nullptr);
  uv_run(&uv_, UV_RUN_DEFAULT);
  PILLION_CHECK(uv_loop_close(&uv_) == 0);
}

void Loop::run() {
  while (!stop_asked_.load(std::memory_order_acquire)) uv_run(&uv_, UV_RUN_DEFAULT);
  stop_asked_.store(false, std::memory_order_release);
  executor_.end_turn();
}

void Loop::stop() {
  stop_asked_.store(true, std::memory_order_release);
  post(std::make_unique<StopMessage>(*this));
}

void Loop::run_once(bool wait) {
  uv_run(&uv_, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void Loop::on_timer() {
  armed_for_ms_.reset();
  now_is_fresh_ = true;
  executor_.timers.advance_to(monotonic_now());
}

void Loop::on_prepare() {
  refresh_now();
  executor_.end_turn();
  arm_timer();
  now_is_fresh_ = false;  // the poll that follows may sleep
}

void Loop::arm_timer() {
  const std::optional<Instant> next = executor_.timers.next_deadline();
  if (!next) {
    if (armed_for_ms_) uv_timer_stop(&timer_->uv);
    armed_for_ms_.reset();
    return;
  }
  // Both clocks are CLOCK_MONOTONIC. Rounded up, since a timer must not fire early and a wake-up too soon is wasted.
  const uint64_t at_ms = (static_cast<uint64_t>(next->time_since_epoch().count()) + 999) / 1000;
  if (armed_for_ms_ == at_ms) return;
  armed_for_ms_ = at_ms;
  uv_update_time(&uv_);
  const uint64_t now_ms = uv_now(&uv_);
  uv_timer_start(
      &timer_->uv,
      [](uv_timer_t* h) {
        if (void* owner = Handle<uv_timer_t>::of(h)->owner) static_cast<Loop*>(owner)->on_timer();
      },
      at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

}  // namespace pillion::event
