#include "proxy/base/block_pool.h"

#include <new>

#include "proxy/base/check.h"

namespace pillion {

#ifdef NDEBUG
constexpr size_t kKeptMax = BlockPool::kFreeBlocksMax;
#else
constexpr size_t kKeptMax = 0;
#endif

BlockPool::~BlockPool() {
  PILLION_CHECK(live_ == 0);
  while (free_ != nullptr) {
    Header* const next = free_->next_free;
    ::operator delete(free_);
    free_ = next;
  }
}

void* BlockPool::acquire(BlockPool* pool, size_t bytes) {
  if (bytes > kRoomBytes) pool = nullptr;
  Header* block = nullptr;
  if (pool != nullptr) {
    ++pool->live_;
    block = pool->free_;
  }
  if (block != nullptr) {
    pool->free_ = block->next_free;
    --pool->free_count_;
  } else {
    block = new (::operator new(pool != nullptr ? kBlockBytes : bytes + sizeof(Header))) Header{pool, nullptr};
  }
  return block + 1;
}

void BlockPool::release(void* room) {
  Header* const block = static_cast<Header*>(room) - 1;
  BlockPool* const pool = block->pool;
  if (pool != nullptr) --pool->live_;
  if (pool == nullptr || pool->free_count_ >= kKeptMax) {
    ::operator delete(block);
    return;
  }
  block->next_free = pool->free_;
  pool->free_ = block;
  ++pool->free_count_;
}

}  // namespace pillion
