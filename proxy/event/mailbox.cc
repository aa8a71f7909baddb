#include "proxy/event/mailbox.h"

#include <utility>

#include "proxy/base/check.h"

namespace pillion::event {

Mailbox::Mailbox(uv_loop_t* loop, Callback on_wake) : on_wake_(on_wake), async_(make_handle<uv_async_t>(this)) {
  const auto wake = [](uv_async_t* async) {
    if (void* owner = Handle<uv_async_t>::of(async)->owner) static_cast<Mailbox*>(owner)->run_all();
  };
  PILLION_CHECK(uv_async_init(loop, &async_->uv, wake) == 0);
  async_->initialised = true;
}

bool Mailbox::post(std::unique_ptr<Message> message) {
  const std::lock_guard lock(mutex_);
  if (async_ == nullptr) return false;
  waiting_.push_back(std::move(message));
  if (waiting_.size() == 1) uv_async_send(&async_->uv);  // under the lock: close() cannot free it meanwhile
  return true;
}

void Mailbox::close() {
  std::vector<std::unique_ptr<Message>> dropped;
  const std::lock_guard lock(mutex_);
  dropped.swap(waiting_);
  async_.reset();
}

void Mailbox::run_all() {
  on_wake_();
  std::vector<std::unique_ptr<Message>> batch;
  {
    const std::lock_guard lock(mutex_);
    batch.swap(waiting_);
  }
  // A message may post again: that goes into the next batch, so messages cannot keep sockets from being served.
  for (std::unique_ptr<Message>& message : batch) {
    message->run();
    message.reset();
  }
}

}  // namespace pillion::event
