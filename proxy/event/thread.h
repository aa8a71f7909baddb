// A named thread with a small stack. The only home of threads that we start ourselves.
#pragma once

#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>

namespace pillion::event {

class Thread {
 public:
  static constexpr size_t kStackBytes = 1024 * 1024;  // address space; only what is touched is resident

  using Function = void (*)(void* argument);
  // `name` is shown by ps and in log lines; 15 bytes are kept. `argument` must live until join().
  Thread(std::string name, Function function, void* argument);
  template <auto Method, class T>
  static std::unique_ptr<Thread> start(std::string name, T* object) {
    return std::make_unique<Thread>(std::move(name), [](void* o) { (static_cast<T*>(o)->*Method)(); }, object);
  }
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { join(); }

  void join();  // idempotent

 private:
  static void enter(void* self);
  std::string name_;
  Function function_;
  void* argument_;
  uv_thread_t thread_{};
  bool joined_ = false;
};

// How many threads can run at once, by the process's affinity.
uint32_t processors();

}  // namespace pillion::event
