#include "proxy/event/signal.h"

#include <signal.h>

#include "proxy/base/check.h"

namespace pillion::event {

void ignore_sigpipe() {
  struct sigaction action{};
  action.sa_handler = SIG_IGN;
  PILLION_CHECK(sigaction(SIGPIPE, &action, nullptr) == 0);
}

SignalWatch::SignalWatch(Loop& loop, int number, Callback callback)
    : loop_(loop), callback_(callback), handle_(make_handle<uv_signal_t>(this)) {
  PILLION_CHECK(uv_signal_init(loop.uv(), &handle_->uv) == 0);
  handle_->initialised = true;
  PILLION_CHECK(uv_signal_start(
                    &handle_->uv,
                    [](uv_signal_t* h, int) {
                      auto* self = static_cast<SignalWatch*>(Handle<uv_signal_t>::of(h)->owner);
                      if (self == nullptr) return;
                      self->loop_.refresh_now();
                      self->callback_();
                    },
                    number) == 0);
}

}  // namespace pillion::event
