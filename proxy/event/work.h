// Work that would hold the loop up (signing, parsing a large file, name look-ups by the C library) on libuv's pool of
// threads. The waiter owns a ticket; dropping it cancels.
#pragma once

#include <memory>

#include "proxy/event/loop.h"

namespace pillion::event {

class Work {
 public:
  virtual ~Work() = default;
  virtual void run() = 0;   // on a thread of the pool; touches nothing but itself
  virtual void done() = 0;  // on the loop, after run(); not called when the ticket was dropped
};

class WorkTicket {
 public:
  WorkTicket() = default;
  ~WorkTicket() { cancel(); }
  WorkTicket(WorkTicket&& other) noexcept : job_(other.job_) { other.take_over(this); }
  WorkTicket& operator=(WorkTicket&& other) noexcept;
  WorkTicket(const WorkTicket&) = delete;
  WorkTicket& operator=(const WorkTicket&) = delete;

  void cancel();  // work that has started runs to its end, unheard
  bool is_waiting() const { return job_ != nullptr; }

 private:
  friend struct WorkJob;
  friend WorkTicket start_work(Loop& loop, std::unique_ptr<Work> work);
  explicit WorkTicket(struct WorkJob* job);
  void take_over(WorkTicket* to);
  struct WorkJob* job_ = nullptr;
};

// The Work is destroyed on the loop, after done() or once a cancelled run() has ended.
[[nodiscard]] WorkTicket start_work(Loop& loop, std::unique_ptr<Work> work);

}  // namespace pillion::event
