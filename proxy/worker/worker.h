// One thread of the data plane: a loop and a runtime. What the main loop wants of it travels through its mailbox.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "proxy/event/thread.h"
#include "proxy/worker/runtime.h"

namespace pillion::worker {

class Worker {
 public:
  Worker(uint32_t index, uint64_t seed, const Shared& shared);
  ~Worker();  // ends the thread; connections that are still there are closed

  void start();
  // From the main loop; done in this order on the worker.
  void publish(config::SnapshotPtr snapshot);
  void accept(int fd, std::shared_ptr<const config::Listener> listener);
  void drain_listeners(bool inbound_only);

  uint32_t arriving() const { return arriving_.load(std::memory_order_relaxed); }  // accepted, not yet taken over
  uint64_t connections() const { return connections_.load(std::memory_order_relaxed); }

 private:
  void run();

  std::string name_;
  StatRegistry& registry_;
  StatSlab slab_;
  std::atomic<uint64_t> connections_{0};
  std::atomic<uint32_t> arriving_{0};
  event::Loop loop_;
  Runtime runtime_;
  std::unique_ptr<event::Thread> thread_;
};

}  // namespace pillion::worker
