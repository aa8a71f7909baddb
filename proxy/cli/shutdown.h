// How a proxy ends: SIGTERM drains what is inbound and waits for the last connection or the drain time; a second one,
// or SIGINT, ends at once.
#pragma once

#include "proxy/event/timer_queue.h"
#include "proxy/worker/server.h"

namespace pillion::cli {

class Shutdown {
 public:
  static constexpr Duration kLook{20'000};

  Shutdown(worker::Server& server, Duration drain_time) : server_(server), drain_time_(drain_time) {}

  void begin();  // SIGTERM
  void end() { server_.quit(); }

 private:
  void on_look();
  event::TimerQueue& timers() { return server_.main_loop().executor().timers; }

  worker::Server& server_;
  Duration drain_time_;
  Instant deadline_{};
  bool begun_ = false;
  event::Timer timer_{event::Timer::bind<&Shutdown::on_look>(this)};
};

}  // namespace pillion::cli
