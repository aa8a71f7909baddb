// Bytes on their way through the proxy. A Chunk is a counted block from a worker's pool; a Chain is a move-only list of
// slices into chunks. Bodies move from codec to codec as slices, without a copy; small slices are copied together.
// Everything here belongs to one worker: the counts are plain integers.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace pillion {

class ChunkPool;

// Bytes [0, filled) have been handed out, each exactly once; whoever holds the slice that ends at `filled` may go on
// behind it. So one chunk can carry the reads of many connections.
struct Chunk {
  uint32_t refs = 0;
  uint32_t capacity = 0;
  uint32_t filled = 0;
  ChunkPool* pool = nullptr;
  Chunk* next_free = nullptr;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
};

// Freelist of one size of chunk. Must outlive every Chain that holds its chunks.
class ChunkPool {
 public:
  static constexpr size_t kChunkBytes = 16 * 1024;  // with the header
  static constexpr size_t kFreeChunksMax = 256;     // kept for reuse; more go back to the allocator
  ChunkPool() = default;
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;
  ~ChunkPool();

  Chunk* acquire();            // refs == 1, filled == 0
  void release(Chunk* chunk);  // drops one reference
  // The chunk that reads land in next; has at least `min_bytes` free. The pool keeps its own reference.
  Chunk* read_chunk(size_t min_bytes);
  size_t live() const { return live_; }  // chunks not in the freelist; the read chunk counts

 private:
  Chunk* free_ = nullptr;
  size_t free_count_ = 0;
  size_t live_ = 0;
  Chunk* read_chunk_ = nullptr;
};

// Most chains have one slice, so the first costs no allocation.
class SliceList {
 public:
  struct Slice {
    Chunk* chunk;
    uint32_t begin;
    uint32_t end;
  };
  SliceList() = default;
  SliceList(SliceList&& other) noexcept { swap(other); }
  SliceList(const SliceList&) = delete;
  SliceList& operator=(const SliceList&) = delete;
  ~SliceList() {
    if (is_on_heap()) std::free(place_.many);
  }

  Slice* begin() { return at() + head_; }
  Slice* end() { return at() + end_; }
  const Slice* begin() const { return const_cast<SliceList*>(this)->begin(); }
  const Slice* end() const { return const_cast<SliceList*>(this)->end(); }
  bool empty() const { return head_ == end_; }
  Slice& front() { return *begin(); }
  const Slice& front() const { return *begin(); }
  Slice& back() { return *(end() - 1); }
  void push_back(const Slice& slice) {
    if (end_ == capacity_) make_room();
    at()[end_++] = slice;
  }
  void pop_front() {
    if (++head_ == end_) head_ = end_ = 0;
  }
  void pop_back() {
    if (--end_ == head_) head_ = end_ = 0;
  }
  void clear() { head_ = end_ = 0; }
  void swap(SliceList& other) noexcept {
    std::swap(place_, other.place_);
    std::swap(head_, other.head_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

 private:
  bool is_on_heap() const { return capacity_ > 1; }
  Slice* at() { return is_on_heap() ? place_.many : &place_.one; }
  void make_room();  // moves the slices to the beginning, or to a place of twice the size

  union {
    Slice one;
    Slice* many;
  } place_ = {};
  uint32_t head_ = 0;
  uint32_t end_ = 0;
  uint32_t capacity_ = 1;
};

class Chain {
 public:
  static constexpr size_t kCopyBelow = 1024;  // slices smaller than this are copied behind their predecessor

  Chain() = default;
  Chain(Chain&& other) noexcept;
  Chain& operator=(Chain&& other) noexcept;
  Chain(const Chain&) = delete;
  Chain& operator=(const Chain&) = delete;
  ~Chain() { clear(); }

  size_t size() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  void clear();

  // Appending. The first moves slices in O(slices); the second copies into the tail; the third takes a new reference.
  void append(Chain&& other);
  void append(ChunkPool& pool, std::string_view bytes);
  void append_slice(Chunk* chunk, uint32_t begin, uint32_t end);
  void append_shared(const Chain& other);  // references the same chunks: a replay buffer, a mirror

  // Room to write into: at least `min` bytes (min <= a chunk's room); commit() says how many were used.
  std::span<char> reserve(ChunkPool& pool, size_t min);
  void commit(size_t bytes);

  // Reading from the front.
  std::string_view front() const;  // the first slice; empty when the chain is
  void drain(size_t bytes);
  void move_front(size_t bytes, Chain& to);    // appends the first `bytes` to `to`
  size_t iov(std::span<iovec> out) const;      // fills at most out.size(), returns the count
  size_t copy_out(std::span<char> out) const;  // peeks without draining, returns the number of bytes
  std::string to_string() const;               // a copy; for tests and small bodies

 private:
  using Slice = SliceList::Slice;
  void pop_front_slice();

  SliceList slices_;
  size_t bytes_ = 0;
};

}  // namespace pillion
