#include "proxy/event/timer_queue.h"

#include "proxy/base/check.h"

namespace pillion::event {

void Timer::start(TimerQueue& queue, Instant deadline) {
  PILLION_DCHECK(queue_ == nullptr || queue_ == &queue);
  queue_ = &queue;
  deadline_ = deadline;
  if (!armed_) {
    armed_ = true;
    ++queue.armed_;
  }
  if (heap_index_ != SIZE_MAX) {
    // Lazy: the old place is early enough, it moves when that is reached. What is due now is armed anew, so that it
    // waits for the next advance.
    if (deadline >= heap_key_ && deadline > queue.now()) return;
    queue.remove(*this);
  }
  heap_key_ = deadline;
  sequence_ = queue.sequence_++;
  queue.insert(*this);
}

void Timer::disarm() {
  armed_ = false;
  --queue_->armed_;
}

void Timer::unlink() {
  stop();
  if (heap_index_ != SIZE_MAX) queue_->remove(*this);
}

TimerQueue::~TimerQueue() {
  for (Timer* t : heap_) {
    t->heap_index_ = SIZE_MAX;
    t->queue_ = nullptr;
    t->armed_ = false;
  }
}

bool TimerQueue::before(const Timer& a, const Timer& b) const {
  return a.heap_key_ != b.heap_key_ ? a.heap_key_ < b.heap_key_ : a.sequence_ < b.sequence_;
}

void TimerQueue::place(Timer* t, size_t i) {
  heap_[i] = t;
  t->heap_index_ = i;
}

void TimerQueue::sift_up(size_t i) {
  Timer* t = heap_[i];
  while (i > 0 && before(*t, *heap_[(i - 1) / 2])) {
    place(heap_[(i - 1) / 2], i);
    i = (i - 1) / 2;
  }
  place(t, i);
}

void TimerQueue::sift_down(size_t i) {
  Timer* t = heap_[i];
  for (;;) {
    size_t child = 2 * i + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(*heap_[child + 1], *heap_[child])) ++child;
    if (!before(*heap_[child], *t)) break;
    place(heap_[child], i);
    i = child;
  }
  place(t, i);
}

void TimerQueue::insert(Timer& t) {
  heap_.push_back(&t);
  t.heap_index_ = heap_.size() - 1;
  sift_up(t.heap_index_);
}

void TimerQueue::remove(Timer& t) {
  const size_t i = t.heap_index_;
  t.heap_index_ = SIZE_MAX;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &t) return;
  place(last, i);
  sift_up(i);
  sift_down(last->heap_index_);
}

size_t TimerQueue::advance_to(Instant now) {
  set_now(now);
  const uint64_t until = sequence_;  // what a callback arms waits for the next call, so a loop cannot form here
  size_t fired = 0;
  while (!heap_.empty()) {
    Timer* t = heap_.front();
    if (t->heap_key_ > now_ || t->sequence_ >= until) break;
    remove(*t);
    if (!t->armed_) continue;
    if (t->deadline_ > now_) {  // was moved later in the meantime
      t->heap_key_ = t->deadline_;
      insert(*t);
      continue;
    }
    t->armed_ = false;
    --armed_;
    ++fired;
    t->callback_(t->owner_);
  }
  return fired;
}

std::optional<Instant> TimerQueue::next_deadline() {
  while (!heap_.empty()) {
    Timer* t = heap_.front();
    if (t->armed_ && t->deadline_ == t->heap_key_) return t->heap_key_;
    remove(*t);
    if (!t->armed_) continue;
    t->heap_key_ = t->deadline_;
    insert(*t);
  }
  return std::nullopt;
}

}  // namespace pillion::event
