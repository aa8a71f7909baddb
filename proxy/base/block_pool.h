// Memory of what lives as long as one request: blocks of one size from a worker's freelist, since an allocator takes
// longer for four kilobytes than for small things. Builds that check (no NDEBUG) give each block back at once, so that
// a use after return is seen.
#pragma once

#include <cstddef>

namespace pillion {

class BlockPool {
 public:
  static constexpr size_t kBlockBytes = 4096;    // with the header
  static constexpr size_t kFreeBlocksMax = 256;  // kept for reuse; more go back to the allocator
  static constexpr size_t kRoomBytes = kBlockBytes - 2 * sizeof(void*);

  BlockPool() = default;
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;
  ~BlockPool();  // all blocks have been released

  // At least `bytes`, aligned for anything. From the pool where there is one and its blocks are large enough.
  static void* acquire(BlockPool* pool, size_t bytes);
  static void release(void* room);

 private:
  struct alignas(2 * sizeof(void*)) Header {
    BlockPool* pool;  // null: not of a pool
    Header* next_free;
  };
  static_assert(sizeof(Header) == kBlockBytes - kRoomBytes);

  Header* free_ = nullptr;
  size_t free_count_ = 0;
  size_t live_ = 0;
};

}  // namespace pillion
