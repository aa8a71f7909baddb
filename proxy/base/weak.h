// A reference sideways in the ownership tree: it becomes null when its target dies. Worker-local, no atomics.
#pragma once

#include "proxy/base/list.h"

namespace pillion {

template <class T>
class WeakRef;

// Base of what may be referred to weakly. Keeps a list of the references to itself.
template <class T>
class WeakTarget {
 public:
  ~WeakTarget() {
    while (WeakRef<T>* ref = refs_.pop_front()) ref->target_ = nullptr;
  }

 private:
  friend class WeakRef<T>;
  List<WeakRef<T>> refs_;
};

template <class T>
class WeakRef : public ListNode<> {
 public:
  WeakRef() = default;
  explicit WeakRef(T& target) { set(&target); }
  void set(T* target) {
    unlink();
    target_ = target;
    if (target != nullptr) static_cast<WeakTarget<T>*>(target)->refs_.push_back(*this);
  }
  T* get() const { return target_; }
  explicit operator bool() const { return target_ != nullptr; }
  T* operator->() const { return target_; }

 private:
  friend class WeakTarget<T>;
  T* target_ = nullptr;
};

}  // namespace pillion
