// The close protocol of libuv handles, in one place. A uv handle's memory must outlive uv_close until its callback;
// the object that owns it need not. So the handle block is its own allocation: dropping the HandlePtr closes it, late
// callbacks see `owner == nullptr`, and only the close callback frees.
#pragma once

#include <uv.h>

#include <memory>

namespace pillion::event {

template <class T>
class Handle {
 public:
  explicit Handle(void* owner) : owner(owner) { uv.data = this; }
  static Handle* of(T* uv) { return static_cast<Handle*>(uv->data); }

  void close() noexcept {
    if (closing_) return;
    closing_ = true;
    owner = nullptr;
    if (!initialised) {
      delete this_after_init_failed();
      return;
    }
    uv_close(reinterpret_cast<uv_handle_t*>(&uv), [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
  }

  T uv{};
  void* owner;               // null once closed
  bool initialised = false;  // set after uv_*_init succeeded: libuv must not close what it never knew

 private:
  ~Handle() = default;
  Handle* this_after_init_failed() { return this; }
  bool closing_ = false;
};

template <class T>
struct Closer {
  void operator()(Handle<T>* h) const noexcept { h->close(); }
};

template <class T>
using HandlePtr = std::unique_ptr<Handle<T>, Closer<T>>;

template <class T>
HandlePtr<T> make_handle(void* owner) {
  return HandlePtr<T>(new Handle<T>(owner));
}

}  // namespace pillion::event
