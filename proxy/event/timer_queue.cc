#include "proxy/event/timer_queue.h"

#include <algorithm>

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
  if (index_ != SIZE_MAX) {
    // Lazy: the old place is early enough, it moves when that is reached. What is due now is armed anew, so that it
    // waits for the next advance.
    if (deadline >= key_ && deadline > queue.now()) return;
    queue.remove(*this);
  }
  key_ = deadline;
  sequence_ = queue.sequence_++;
  queue.insert(*this);
}

void Timer::disarm() {
  armed_ = false;
  --queue_->armed_;
}

void Timer::unlink() {
  stop();
  if (index_ != SIZE_MAX) queue_->remove(*this);
}

TimerQueue::~TimerQueue() {
  for (std::vector<Timer*>* timers : {&heap_, &young_}) {
    for (Timer* t : *timers) {
      t->index_ = SIZE_MAX;
      t->queue_ = nullptr;
      t->armed_ = false;
    }
  }
}

bool TimerQueue::before(const Timer& a, const Timer& b) const {
  return a.key_ != b.key_ ? a.key_ < b.key_ : a.sequence_ < b.sequence_;
}

void TimerQueue::place(Timer* t, size_t i) {
  heap_[i] = t;
  t->index_ = i;
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
  t.young_ = t.key_ >= now_ + kYoung;
  if (!t.young_) return insert_in_heap(t);
  t.index_ = young_.size();
  young_.push_back(&t);
  young_until_ = std::min(young_until_, t.key_);
}

void TimerQueue::remove(Timer& t) {
  if (!t.young_) return remove_from_heap(t);
  Timer* last = young_.back();
  young_[t.index_] = last;
  last->index_ = t.index_;
  young_.pop_back();
  t.index_ = SIZE_MAX;
}

void TimerQueue::insert_in_heap(Timer& t) {
  heap_.push_back(&t);
  t.index_ = heap_.size() - 1;
  sift_up(t.index_);
}

void TimerQueue::remove_from_heap(Timer& t) {
  const size_t i = t.index_;
  t.index_ = SIZE_MAX;
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last == &t) return;
  place(last, i);
  sift_up(i);
  sift_down(last->index_);
}

// Each timer comes here once at most: who is in the heap stays there, also when it is moved later.
void TimerQueue::sort_young() {
  for (Timer* t : young_) {
    t->young_ = false;
    t->index_ = SIZE_MAX;
    if (!t->armed_) continue;
    t->key_ = t->deadline_;
    insert_in_heap(*t);
  }
  young_.clear();
  young_until_ = Instant::max();
}

size_t TimerQueue::advance_to(Instant now) {
  set_now(now);
  if (young_until_ <= now_) sort_young();
  const uint64_t until = sequence_;  // what a callback arms waits for the next call, so a loop cannot form here
  size_t fired = 0;
  while (!heap_.empty()) {
    Timer* t = heap_.front();
    if (t->key_ > now_ || t->sequence_ >= until) break;
    remove_from_heap(*t);
    if (!t->armed_) continue;
    if (t->deadline_ > now_) {  // was moved later in the meantime
      t->key_ = t->deadline_;
      insert_in_heap(*t);
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
  if (armed_ == 0) return std::nullopt;
  std::optional<Instant> next;
  if (!young_.empty()) next = young_until_;
  while (!heap_.empty()) {
    Timer* t = heap_.front();
    if (t->armed_ && t->deadline_ == t->key_) return next ? std::min(*next, t->key_) : t->key_;
    remove_from_heap(*t);
    if (!t->armed_) continue;
    t->key_ = t->deadline_;
    insert_in_heap(*t);
  }
  return next;
}

}  // namespace pillion::event
