// When to push: the first change of a burst leaves at once, what follows within the window goes as one push at its end.
//
//            change: push               change within the window
//   idle ------------------> quiet(window) ------------------> waiting(same end)
//     ^                        | end: nothing had come             | end: push, and a new window opens
//     +------------------------+ <---------------------------------+
//
// Pure: time is passed in.
#pragma once

#include <optional>

#include "proxy/base/time.h"

namespace pillion::xds::control {

class Coalescer {
 public:
  explicit Coalescer(Duration window) : window_(window) {}

  // Something has changed. True: push now.
  bool on_change(Instant now) {
    if (end_ && now < *end_) {
      waiting_ = true;
      return false;
    }
    open(now);
    return true;
  }

  // To be called at due(). True: push now.
  bool on_time(Instant now) {
    if (!end_ || now < *end_) return false;
    if (waiting_) {
      open(now);
      return true;
    }
    end_.reset();
    return false;
  }

  // When to call on_time; none while nothing waits.
  std::optional<Instant> due() const { return waiting_ ? end_ : std::nullopt; }

 private:
  void open(Instant now) {
    end_ = now + window_;
    waiting_ = false;
  }

  Duration window_;
  std::optional<Instant> end_;
  bool waiting_ = false;
};

}  // namespace pillion::xds::control
