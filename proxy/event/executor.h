// What everything above the sockets needs from the loop it lives on: the time, timers, memory, chance, and the end of
// the turn. event::Loop drives one with libuv; tests/sim drives several by virtual time on one thread.
//
//   bytes arrive ──► codec records events ──► ready(exchange) ──► run_ready(): step() ──► writes, dirty(connection)
//   end of the turn (before the loop waits): run_ready, flush the dirty, empty the graveyard; repeat until all are
//   empty
#pragma once

#include <memory>
#include <vector>

#include "proxy/base/block_pool.h"
#include "proxy/base/chain.h"
#include "proxy/base/list.h"
#include "proxy/base/random.h"
#include "proxy/base/stats.h"
#include "proxy/base/time.h"
#include "proxy/event/timer_queue.h"

namespace pillion::event {

struct ReadyTag;
struct DirtyTag;

// Something whose state machine should run soon. Being marked twice runs it once. step() may retire anything,
// itself included, but may not destroy it.
class Steppable : public ListNode<ReadyTag> {
 public:
  virtual void step() = 0;

 protected:
  ~Steppable() = default;
};

// Something with output to write once per turn.
class Flushable : public ListNode<DirtyTag> {
 public:
  virtual void flush() = 0;

 protected:
  ~Flushable() = default;
};

// What may be given to retire(). By then it has closed its handles, stopped its timers, left its lists and returned
// what is scarce; only its memory waits, so that frames still on the stack stay valid.
class Retirable {
 public:
  virtual ~Retirable() = default;
};

class Executor {
 public:
  Executor(Instant now, uint64_t seed, StatSlab& stats) : timers(now), random(seed), stats(stats) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor() { end_turn(); }

  ChunkPool chunks;  // outlives everything below it
  BlockPool blocks;
  TimerQueue timers;
  Random random;
  StatSlab& stats;

  Instant now() const { return timers.now(); }

  void ready(Steppable& s) {
    if (!s.is_linked()) ready_.push_back(s);
  }
  void dirty(Flushable& f) {
    if (!f.is_linked()) dirty_.push_back(f);
  }
  void retire(std::unique_ptr<Retirable> p) { graveyard_.push_back(std::move(p)); }

  // Rations work that takes long, such as a TLS handshake's signature: false once `max` were allowed in this turn. Who
  // is refused asks again in the next one (a timer that is due now fires in it).
  bool may_work_long(uint32_t max) { return long_works_++ < max; }

  // Runs what is ready, also what becomes ready meanwhile. Called at an edge, after a codec was fed, and by end_turn.
  void run_ready() {
    if (running_) return;  // an edge inside an edge: the outer loop picks it up
    running_ = true;
    while (Steppable* s = ready_.pop_front()) s->step();
    running_ = false;
  }

  void end_turn() {
    do {
      run_ready();
      while (Flushable* f = dirty_.pop_front()) f->flush();
      // Destructors may retire more; those are for the next round.
      dying_.swap(graveyard_);
      dying_.clear();
    } while (!ready_.empty() || !dirty_.empty() || !graveyard_.empty());
    long_works_ = 0;
  }

  bool is_idle() const { return ready_.empty() && dirty_.empty() && graveyard_.empty(); }

 private:
  mutable List<Steppable, ReadyTag> ready_;
  mutable List<Flushable, DirtyTag> dirty_;
  std::vector<std::unique_ptr<Retirable>> graveyard_;
  std::vector<std::unique_ptr<Retirable>> dying_;  // empty outside of end_turn(); both keep their room
  uint32_t long_works_ = 0;                        // in this turn
  bool running_ = false;
};

}  // namespace pillion::event
