// A bump allocator that lives as long as one request. Views into it stay valid until reset(); what must live longer is
// copied out. Nothing in it has a destructor run.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "proxy/base/block_pool.h"

namespace pillion {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { reset(); }

  // The first allocations go into `room`, which is somebody else's and outlives the arena; blocks come from the pool.
  // Called while the arena is empty.
  void start_in(std::span<char> room, BlockPool& pool) {
    pool_ = &pool;
    cursor_ = room.data();
    end_ = room.data() + room.size();
  }

  char* allocate(size_t bytes, size_t align = 1) {
    uintptr_t at = (reinterpret_cast<uintptr_t>(cursor_) + align - 1) & ~(uintptr_t{align} - 1);
    if (cursor_ == nullptr || at + bytes > reinterpret_cast<uintptr_t>(end_)) {
      grow(bytes + align);
      at = (reinterpret_cast<uintptr_t>(cursor_) + align - 1) & ~(uintptr_t{align} - 1);
    }
    cursor_ = reinterpret_cast<char*>(at + bytes);
    used_ += bytes;
    return reinterpret_cast<char*>(at);
  }

  template <class T, class... Args>
  T* make(Args&&... args) {
    static_assert(std::is_trivially_destructible_v<T>);
    return new (allocate(sizeof(T), alignof(T))) T{std::forward<Args>(args)...};
  }

  std::string_view copy(std::string_view s) {
    if (s.empty()) return {"", 0};
    char* p = allocate(s.size());
    std::memcpy(p, s.data(), s.size());
    return {p, s.size()};
  }

  // One view of all the parts.
  std::string_view concat(std::initializer_list<std::string_view> parts) {
    size_t n = 0;
    for (std::string_view part : parts) n += part.size();
    char* p = allocate(n);
    char* w = p;
    for (std::string_view part : parts) {
      if (!part.empty()) std::memcpy(w, part.data(), part.size());
      w += part.size();
    }
    return {p, n};
  }

  // `s` and `more` as one view. Costs no copy of `s` when it was the last thing allocated and there is room, which is
  // how a token that arrives in pieces grows.
  std::string_view extend(std::string_view s, std::string_view more) {
    if (s.empty()) return copy(more);
    if (s.data() + s.size() == cursor_ && static_cast<size_t>(end_ - cursor_) >= more.size()) {
      std::memcpy(cursor_, more.data(), more.size());
      cursor_ += more.size();
      used_ += more.size();
      return {s.data(), s.size() + more.size()};
    }
    return concat({s, more});
  }

  void reset() {
    while (blocks_ != nullptr) {
      Block* next = blocks_->next;
      BlockPool::release(blocks_);
      blocks_ = next;
    }
    cursor_ = end_ = nullptr;
    used_ = 0;
  }

  size_t used() const { return used_; }  // bytes asked for since the last reset

 private:
  struct Block {
    Block* next;
  };
  void grow(size_t at_least) {
    const size_t size = std::max(at_least + sizeof(Block), BlockPool::kRoomBytes);
    auto* block = static_cast<Block*>(BlockPool::acquire(pool_, size));
    block->next = blocks_;
    blocks_ = block;
    cursor_ = reinterpret_cast<char*>(block + 1);
    end_ = reinterpret_cast<char*>(block) + size;
  }

  char* cursor_ = nullptr;
  char* end_ = nullptr;
  Block* blocks_ = nullptr;
  BlockPool* pool_ = nullptr;
  size_t used_ = 0;
};

}  // namespace pillion
