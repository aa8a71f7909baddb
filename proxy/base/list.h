// An intrusive doubly linked list. A node unlinks itself when it is destroyed, so that no list can hold a dead object.
// The list does not own its nodes, except OwningList, whose nodes were released into it from unique_ptrs.
#pragma once

#include <cstddef>
#include <memory>

#include "proxy/base/check.h"

namespace pillion {

template <class Tag = void>
class ListNode {
 public:
  ListNode() = default;
  ListNode(const ListNode&) = delete;
  ListNode& operator=(const ListNode&) = delete;
  ~ListNode() { unlink(); }

  bool is_linked() const { return next_ != nullptr; }
  void unlink() {
    if (next_ == nullptr) return;
    prev_->next_ = next_;
    next_->prev_ = prev_;
    next_ = prev_ = nullptr;
  }

 private:
  template <class T, class G>
  friend class List;
  void link_before(ListNode& at) {
    PILLION_DCHECK(next_ == nullptr);
    prev_ = at.prev_;
    next_ = &at;
    prev_->next_ = this;
    at.prev_ = this;
  }
  ListNode* next_ = nullptr;
  ListNode* prev_ = nullptr;
};

// T derives from ListNode<Tag>; Tag tells several memberships of one object apart.
template <class T, class Tag = void>
class List {
  using Node = ListNode<Tag>;

 public:
  List() { head_.next_ = head_.prev_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;
  ~List() {
    while (!empty()) head_.next_->unlink();
    head_.next_ = head_.prev_ = nullptr;
  }

  bool empty() const { return head_.next_ == &head_; }
  T& front() const { return *static_cast<T*>(head_.next_); }
  T& back() { return *static_cast<T*>(head_.prev_); }
  void push_back(T& t) { static_cast<Node&>(t).link_before(head_); }
  void push_front(T& t) { static_cast<Node&>(t).link_before(*head_.next_); }
  T* pop_front() {
    if (empty()) return nullptr;
    T& t = front();
    static_cast<Node&>(t).unlink();
    return &t;
  }
  // Takes all nodes of `from`, in order, behind our own.
  void splice(List& from) {
    if (from.empty()) return;
    from.head_.next_->prev_ = head_.prev_;
    head_.prev_->next_ = from.head_.next_;
    from.head_.prev_->next_ = &head_;
    head_.prev_ = from.head_.prev_;
    from.head_.next_ = from.head_.prev_ = &from.head_;
  }
  size_t count() const {
    size_t n = 0;
    for (const Node* p = head_.next_; p != &head_; p = p->next_) ++n;
    return n;
  }

  // Iteration tolerates the removal of the current node.
  class iterator {
   public:
    explicit iterator(Node* n) : node_(n), next_(n->next_) {}
    T& operator*() const { return *static_cast<T*>(node_); }
    T* operator->() const { return static_cast<T*>(node_); }
    iterator& operator++() {
      node_ = next_;
      next_ = node_->next_;
      return *this;
    }
    bool operator!=(const iterator& o) const { return node_ != o.node_; }

   private:
    Node* node_;
    Node* next_;
  };
  iterator begin() { return iterator(head_.next_); }
  iterator end() { return iterator(&head_); }

 private:
  Node head_;
};

// A list that owns its nodes.
template <class T, class Tag = void>
class OwningList {
 public:
  ~OwningList() { clear(); }
  T& push_back(std::unique_ptr<T> t) {
    list_.push_back(*t);
    return *t.release();
  }
  T& push_front(std::unique_ptr<T> t) {
    list_.push_front(*t);
    return *t.release();
  }
  std::unique_ptr<T> take(T& t) {
    static_cast<ListNode<Tag>&>(t).unlink();
    return std::unique_ptr<T>(&t);
  }
  void clear() {
    while (T* t = list_.pop_front()) std::unique_ptr<T>(t).reset();
  }
  bool empty() const { return list_.empty(); }
  T& front() { return list_.front(); }
  size_t count() const { return list_.count(); }
  auto begin() { return list_.begin(); }
  auto end() { return list_.end(); }

 private:
  List<T, Tag> list_;
};

}  // namespace pillion
