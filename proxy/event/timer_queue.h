// All timers of one loop. A Timer is embedded by value in what it times and unlinks itself when that dies, so a fired
// timer never finds a dead owner. The queue is driven from outside: event::Loop advances it with the clock, tests/sim
// with virtual time.
//
// Deadlines are kept in a binary heap, but most timers die long before they are due: those of a request. So a timer
// that is due in a while waits unsorted first, which costs nothing to enter and to leave, and enters the heap when the
// earliest deadline of those that wait is reached.
//
//   start ──► young (due in kYoung or later) ──► heap ──► fired          stop, or its death: gone from either
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "proxy/base/time.h"

namespace pillion::event {

class TimerQueue;

class Timer {
 public:
  using Callback = void (*)(void* owner);
  // Binds the timer to a member function: Timer t_{Timer::bind<&Attempt::on_timeout>(this)};
  template <auto Method, class T>
  static Timer bind(T* owner) {
    return Timer(owner, [](void* o) { (static_cast<T*>(o)->*Method)(); });
  }
  Timer(void* owner, Callback callback) : owner_(owner), callback_(callback) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer() { unlink(); }

  // (Re)arms the timer. Moving a deadline later costs nothing until the old one is reached.
  void start(TimerQueue& queue, Instant deadline);
  void start_after(TimerQueue& queue, Duration delay);
  // Costs nothing either: the place in the heap stays until it is reached, used again, or the timer dies.
  void stop() {
    if (armed_) disarm();
  }
  bool is_armed() const { return armed_; }
  Instant deadline() const { return deadline_; }

 private:
  friend class TimerQueue;
  void disarm();
  void unlink();

  void* owner_;
  Callback callback_;
  TimerQueue* queue_ = nullptr;
  size_t index_ = SIZE_MAX;  // in the heap, or among the young; SIZE_MAX: in neither
  uint64_t sequence_ = 0;
  Instant deadline_{};  // when to fire
  Instant key_{};       // by which it was placed; earlier than deadline_ after a lazy re-arm
  bool armed_ = false;
  bool young_ = false;
};

class TimerQueue {
 public:
  static constexpr Duration kYoung{10'000};
  explicit TimerQueue(Instant now) : now_(now) {}
  TimerQueue(const TimerQueue&) = delete;
  TimerQueue& operator=(const TimerQueue&) = delete;
  ~TimerQueue();

  Instant now() const { return now_; }
  void set_now(Instant now) {
    if (now > now_) now_ = now;
  }
  // Sets the time and fires, in order of (deadline, arming), everything due. Timers that are armed by a callback with a
  // deadline that is already due fire in the next call.
  size_t advance_to(Instant now);
  // When advance_to() is next needed: at the first deadline, or earlier where timers were stopped. None when nothing is
  // armed.
  std::optional<Instant> next_deadline();
  size_t armed() const { return armed_; }

 private:
  friend class Timer;
  void insert(Timer& t);
  void remove(Timer& t);
  void insert_in_heap(Timer& t);
  void remove_from_heap(Timer& t);
  void sort_young();
  void sift_up(size_t i);
  void sift_down(size_t i);
  bool before(const Timer& a, const Timer& b) const;
  void place(Timer* t, size_t i);

  Instant now_;
  std::vector<Timer*> heap_;
  std::vector<Timer*> young_;
  Instant young_until_ = Instant::max();  // none of the young is due earlier
  uint64_t sequence_ = 0;
  size_t armed_ = 0;
};

inline void Timer::start_after(TimerQueue& queue, Duration delay) {
  start(queue, queue.now() + delay);
}

}  // namespace pillion::event
