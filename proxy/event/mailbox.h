// The one way into a loop from another thread: messages are queued under a mutex and run on the loop in the order in
// which they were posted. Many posts cost one wake-up. The mailbox is shared, so a sender may outlive the loop: what it
// posts then is dropped.
#pragma once

#include <uv.h>

#include <memory>
#include <mutex>
#include <vector>

#include "proxy/event/callback.h"
#include "proxy/event/handle.h"

namespace pillion::event {

// Destroyed on the loop after run(); on the posting thread when the loop is gone; in ~Loop when it was not run.
class Message {
 public:
  virtual ~Message() = default;
  virtual void run() = 0;
};

class Mailbox {
 public:
  // `on_wake` is called on the loop before each batch of messages: the loop refreshes its time there.
  Mailbox(uv_loop_t* loop, Callback on_wake);
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // From any thread. False when the loop has gone and the message was dropped.
  bool post(std::unique_ptr<Message> message);
  // Only by the loop's thread: drops what waits, refuses what comes.
  void close();

 private:
  void run_all();

  Callback on_wake_;
  std::mutex mutex_;                               // guards the two below
  std::vector<std::unique_ptr<Message>> waiting_;  // non-empty: a wake-up is on its way
  HandlePtr<uv_async_t> async_;                    // null once closed
};

}  // namespace pillion::event
