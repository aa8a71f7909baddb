// The close protocol of libuv handles, in one place. A uv handle's memory must outlive uv_close until its callback;
// the object that owns it need not. So the handle block is its own allocation: dropping the HandlePtr closes it, late
// callbacks see `owner == nullptr`, and only the close callback frees.
//
//   make_handle ──► uv_*_init, initialised = true ──► close(): owner = null, uv_close ──► close callback: freed
#pragma once

#include <uv.h>

#include <memory>

namespace pillion::event {

struct NoExtra {};

// Extra is what must live exactly as long as the handle: requests that libuv still holds, the bytes that they point at.
template <class T, class Extra = NoExtra>
class Handle {
 public:
  explicit Handle(void* owner) : owner(owner) { uv.data = this; }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  // U is T, or what libuv shows T as in a callback (uv_stream_t, uv_handle_t).
  template <class U>
  static Handle* of(const U* uv) {
    return static_cast<Handle*>(uv->data);
  }

  void close() noexcept {
    if (closing_) return;
    closing_ = true;
    owner = nullptr;
    if (!initialised) {
      delete never_initialised();
      return;
    }
    uv_close(as_handle(), [](uv_handle_t* h) { delete static_cast<Handle*>(h->data); });
  }
  uv_handle_t* as_handle() { return reinterpret_cast<uv_handle_t*>(&uv); }

  T uv{};
  void* owner;               // null once closed
  bool initialised = false;  // set after uv_*_init succeeded: libuv must not close what it never knew
  [[no_unique_address]] Extra extra{};

 private:
  ~Handle() = default;
  Handle* never_initialised() { return this; }
  bool closing_ = false;
};

template <class T, class Extra = NoExtra>
struct Closer {
  void operator()(Handle<T, Extra>* h) const noexcept { h->close(); }
};

template <class T, class Extra = NoExtra>
using HandlePtr = std::unique_ptr<Handle<T, Extra>, Closer<T, Extra>>;

template <class T, class Extra = NoExtra>
HandlePtr<T, Extra> make_handle(void* owner) {
  return HandlePtr<T, Extra>(new Handle<T, Extra>(owner));
}

}  // namespace pillion::event
