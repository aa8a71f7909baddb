// A member function bound to its object: two words, no captures, no allocation. Whoever stores one is owned by the
// object that it points at, or is dropped before it.
#pragma once

namespace pillion::event {

class Callback {
 public:
  Callback() = default;
  // Callback::bind<&Server::on_sigterm>(this)
  template <auto Method, class T>
  static Callback bind(T* owner) {
    return Callback(owner, [](void* o) { (static_cast<T*>(o)->*Method)(); });
  }
  void operator()() const { call_(owner_); }
  explicit operator bool() const { return call_ != nullptr; }

 private:
  Callback(void* owner, void (*call)(void*)) : owner_(owner), call_(call) {}
  void* owner_ = nullptr;
  void (*call_)(void*) = nullptr;
};

}  // namespace pillion::event
