#include "proxy/event/thread.h"

#include <pthread.h>
#include <signal.h>

#include "proxy/base/check.h"
#include "proxy/base/log.h"

namespace pillion::event {

Thread::Thread(std::string name, Function function, void* argument)
    : name_(name.substr(0, 15)), function_(function), argument_(argument) {
  uv_thread_options_t options{};
  options.flags = UV_THREAD_HAS_STACK_SIZE;
  options.stack_size = kStackBytes;
  PILLION_CHECK(uv_thread_create_ex(&thread_, &options, enter, this) == 0);
}

void Thread::enter(void* arg) {
  auto* self = static_cast<Thread*>(arg);
  pthread_setname_np(pthread_self(), self->name_.c_str());
  set_log_thread_name(self->name_);
  self->function_(self->argument_);
}

void Thread::join() {
  if (joined_) return;
  joined_ = true;
  uv_thread_join(&thread_);
}

uint32_t processors() {
  return uv_available_parallelism();
}

}  // namespace pillion::event
