#include "proxy/worker/worker.h"

#include <unistd.h>

#include <utility>

#include "proxy/base/log.h"
#include "proxy/net/cares_resolver.h"

namespace pillion::worker {
namespace {

struct Publish final : event::Message {
  Publish(Runtime& r, config::SnapshotPtr s) : runtime(r), snapshot(std::move(s)) {}
  void run() override { runtime.publish(std::move(snapshot)); }
  Runtime& runtime;
  config::SnapshotPtr snapshot;
};

struct Accepted final : event::Message {
  Accepted(Runtime& r, int f, std::shared_ptr<const config::Listener> l, std::atomic<uint32_t>& a)
      : runtime(r), fd(f), listener(std::move(l)), arriving(a) {}
  ~Accepted() override {
    if (fd >= 0) ::close(fd);
  }
  void run() override {
    arriving.fetch_sub(1, std::memory_order_relaxed);
    runtime.accept(std::exchange(fd, -1), std::move(listener));
  }
  Runtime& runtime;
  int fd;
  std::shared_ptr<const config::Listener> listener;
  std::atomic<uint32_t>& arriving;
};

struct Drain final : event::Message {
  Drain(Runtime& r, bool i) : runtime(r), inbound_only(i) {}
  void run() override { runtime.drain_listeners(inbound_only); }
  Runtime& runtime;
  bool inbound_only;
};

}  // namespace

Worker::Worker(uint32_t index, uint64_t seed, const Shared& shared)
    : name_("w" + std::to_string(index + 1)),
      registry_(shared.registry),
      loop_(seed, slab_),
      runtime_(loop_, shared, net::make_cares_resolver(loop_), connections_) {
  registry_.attach(slab_);
}

Worker::~Worker() {
  if (thread_ != nullptr) {
    loop_.stop();
    thread_->join();
  }
  registry_.detach(slab_);
}

void Worker::start() {
  thread_ = event::Thread::start<&Worker::run>(name_, this);
}

void Worker::run() {
  set_log_thread_name(name_);
  loop_.run();
}

void Worker::publish(config::SnapshotPtr snapshot) {
  loop_.post(std::make_unique<Publish>(runtime_, std::move(snapshot)));
}

void Worker::accept(int fd, std::shared_ptr<const config::Listener> listener) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  arriving_.fetch_add(1, std::memory_order_relaxed);
  loop_.post(std::make_unique<Accepted>(runtime_, fd, std::move(listener), arriving_));
}

void Worker::drain_listeners(bool inbound_only) {
  loop_.post(std::make_unique<Drain>(runtime_, inbound_only));
}

}  // namespace pillion::worker
