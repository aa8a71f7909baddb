#include "proxy/event/loop.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "proxy/base/check.h"

namespace pillion::event {
namespace {

struct Wake final : Message {
  void run() override {}
};

}  // namespace

Loop::Loop(uint64_t seed, StatSlab& stats) : executor_(monotonic_now(), seed, stats) {
  PILLION_CHECK(uv_loop_init(&uv_) == 0);
  poller_.watch_guest(uv_backend_fd(&uv_));
  mailbox_ = std::make_shared<Mailbox>(&uv_, Callback::bind<&Loop::refresh_now>(this));
}

Loop::~Loop() {
  is_closing_ = true;
  mailbox_->close();
  residents_.clear();
  executor_.end_turn();
  residents_.clear();
  // A handle that is still open has an owner that is going to outlive us, and uv_run would wait for it for ever.
  uv_walk(&uv_, [](uv_handle_t* h, void*) { PILLION_CHECK(uv_is_closing(h)); }, nullptr);
  uv_run(&uv_, UV_RUN_DEFAULT);
  PILLION_CHECK(uv_loop_close(&uv_) == 0);
}

void Loop::run() {
  while (!stop_asked_.load(std::memory_order_acquire)) turn(true);
  stop_asked_.store(false, std::memory_order_release);
  executor_.end_turn();
}

void Loop::stop() {
  stop_asked_.store(true, std::memory_order_release);
  post(std::make_unique<Wake>());
}

void Loop::run_once(bool wait) {
  turn(wait);
}

void Loop::turn(bool wait) {
  refresh_now();
  executor_.end_turn();
  const int timeout_ms = wait ? wait_ms() : 0;
  now_is_fresh_ = false;  // the wait may sleep
  const bool guest_is_readable = poller_.wait(timeout_ms);
  now_is_fresh_ = true;
  executor_.timers.advance_to(monotonic_now());
  poller_.dispatch();
  // Zero is also what libuv says when descriptors were added or handles closed since it ran last.
  if (guest_is_readable || uv_backend_timeout(&uv_) == 0) uv_run(&uv_, UV_RUN_NOWAIT);
  now_is_fresh_ = false;
}

int Loop::wait_ms() {
  if (poller_.has_work()) return 0;
  const int for_uv = uv_backend_timeout(&uv_);  // 0, or -1: nobody uses libuv's timers
  const std::optional<Instant> next = executor_.timers.next_deadline();
  if (for_uv == 0 || !next) return for_uv;
  // From the time that it is, not that of this turn's events, whose work may have taken long. Rounded up, since a timer
  // must not fire early and a wake-up too soon is wasted.
  const int64_t us = std::max<int64_t>(0, (*next - monotonic_now()).count());
  return static_cast<int>(std::min<int64_t>((us + 999) / 1000, std::numeric_limits<int>::max()));
}

}  // namespace pillion::event
