// Process signals as events of a loop, and the one signal that nobody wants.
#pragma once

#include <uv.h>

#include "proxy/event/callback.h"
#include "proxy/event/handle.h"
#include "proxy/event/loop.h"

namespace pillion::event {

// A peer that is gone shows itself as EPIPE of the write; as SIGPIPE it would end the process. Call once in main().
void ignore_sigpipe();

// Calls back on the loop each time `number` (SIGTERM, SIGINT, SIGHUP) arrives, while this lives.
class SignalWatch {
 public:
  SignalWatch(Loop& loop, int number, Callback callback);

 private:
  Loop& loop_;
  Callback callback_;
  HandlePtr<uv_signal_t> handle_;
};

}  // namespace pillion::event
