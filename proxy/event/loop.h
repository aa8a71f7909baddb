// One libuv loop, its executor and its mailbox: what a thread of the proxy runs. All uv handles of the process belong
// to one of these.
//
//   one turn:  run what is ready, flush the dirty, empty the graveyard, until all are empty
//              wait for sockets, for libuv, or for the next timer ──► timers ──► sockets ──► libuv, if it has work
//
// libuv is a guest of the poller: it has the listeners, signals, files, DNS and the mailbox, and the connections do not
// pay for it.
#pragma once

#include <uv.h>

#include <atomic>
#include <memory>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/event/handle.h"
#include "proxy/event/mailbox.h"
#include "proxy/event/poller.h"

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
  Poller& poller() { return poller_; }
  uv_loop_t* uv() { return &uv_; }

  void run();   // until stop()
  void stop();  // from any thread; the turn under way is finished. Before run() it makes run() return at once
  // One turn; waits for an event or a timer if `wait`. For tests and for loops that are driven by hand.
  void run_once(bool wait);

  bool post(std::unique_ptr<Message> message) { return mailbox_->post(std::move(message)); }
  std::shared_ptr<Mailbox> mailbox() const { return mailbox_; }  // for senders that may outlive the loop

  // Every callback calls this first: the time is read once per batch of events, not once per event.
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
  void turn(bool wait);
  int wait_ms();

  uv_loop_t uv_{};
  Executor executor_;
  Poller poller_;
  std::shared_ptr<Mailbox> mailbox_;
  OwningList<Resident, ResidentTag> residents_;
  std::atomic<bool> stop_asked_ = false;
  bool now_is_fresh_ = false;
  bool is_closing_ = false;
};

}  // namespace pillion::event
