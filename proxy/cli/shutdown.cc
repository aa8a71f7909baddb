#include "proxy/cli/shutdown.h"

#include "proxy/base/log.h"

namespace pillion::cli {

void Shutdown::begin() {
  if (begun_) {
    end();
    return;
  }
  begun_ = true;
  deadline_ = timers().now() + drain_time_;
  PILLION_LOG(info, "draining: {} connections", server_.connections());
  server_.drain_listeners(true);
  on_look();
}

void Shutdown::on_look() {
  if (server_.connections() == 0 || timers().now() >= deadline_) {
    end();
    return;
  }
  timer_.start_after(timers(), kLook);
}

}  // namespace pillion::cli
