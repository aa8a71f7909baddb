// One libuv loop, its executor and its mailbox: what a thread of the proxy runs. All uv handles of the process belong
// to one of these.
//
//   one turn:  uv_timer ──► TimerQueue      poll ──► callbacks (refresh_now() first)      uv_prepare ──► end of turn:
//              run what is ready, flush the dirty, empty the graveyard, until all are empty; re-arm the uv_timer
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>
#include <optional>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/event/handle.h"
#include "proxy/event/mailbox.h"

namespace pillion::event {

struct ResidentTag;

// Something that outlives its owner, ends by itself, and at the latest with the loop: a connection that is still
// sending its last bytes.
class Resident : public Retirable, public ListNode<ResidentTag> {};

class Loop {
 public:
  Loop(uint64_t seed, StatSlab& stats);
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  // Everything that uses the loop must be gone, except residents and unread messages. Waits for work in the pool.
  ~Loop();

  Executor& executor() { return executor_; }
  Instant now() const { return executor_.now(); }
  uv_loop_t* uv() { return &uv_; }

  void run();   // until stop()
  void stop();  // from any thread; the turn under way is finished. Before run() it makes run() return at once
  // One turn; waits for an event or a timer if `wait`. For tests and for loops that are driven by hand.
  void run_once(bool wait);

  bool post(std::unique_ptr<Message> message) { return mailbox_->post(std::move(message)); }
  std::shared_ptr<Mailbox> mailbox() const { return mailbox_; }  // for senders that may outlive the loop

  // Every uv callback calls this first: the time is read once per batch of events, not once per event.
  void refresh_now() {
    if (now_is_fresh_) return;
    now_is_fresh_ = true;
    executor_.timers.set_now(monotonic_now());
  }

  void adopt(std::unique_ptr<Resident> resident) { residents_.push_back(std::move(resident)); }
  void release(Resident& resident) { executor_.retire(residents_.take(resident)); }  // it has ended
  bool is_closing() const { return is_closing_; }                                    // no lingering any more
  size_t residents() { return residents_.count(); }

 private:
  void on_timer();
  void on_prepare();
  void arm_timer();

  uv_loop_t uv_{};
  Executor executor_;
  HandlePtr<uv_timer_t> timer_;
  HandlePtr<uv_prepare_t> prepare_;
  std::shared_ptr<Mailbox> mailbox_;
  OwningList<Resident, ResidentTag> residents_;
  std::optional<uint64_t> armed_for_ms_;  // what the uv_timer is set to, on uv_now()'s clock
  std::atomic<bool> stop_asked_ = false;
  bool now_is_fresh_ = false;
  bool is_closing_ = false;
};

}  // namespace pillion::event
