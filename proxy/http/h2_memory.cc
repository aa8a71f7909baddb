#include "proxy/http/h2_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

namespace pillion::http {
namespace {

#ifdef NDEBUG
constexpr size_t kKept = H2Memory::kKeptMax;
#else
constexpr size_t kKept = 0;  // builds that check see a use after return
#endif

// nghttp2 holds room for a frame of 16 KB in each session, and frames of that size are rare: bodies do not go through
// it. Of pages that come from the system, only those that were written to cost memory.
constexpr size_t kFromSystemMin = 16 * 1024;

void* take(size_t bytes) {
  if (bytes < kFromSystemMin) return std::malloc(bytes);
  void* const pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return pages == MAP_FAILED ? nullptr : pages;
}

void give_back(void* at, size_t bytes) {
  if (bytes < kFromSystemMin) return std::free(at);
  munmap(at, bytes);
}

H2Memory& of(void* user_data) {
  return *static_cast<H2Memory*>(user_data);
}

}  // namespace

H2Memory::H2Memory()
    : mem_{.mem_user_data = this,
           .malloc = [](size_t bytes, void* self) { return of(self).allocate(bytes); },
           .free = [](void* at, void* self) { of(self).release(at); },
           .calloc =
               [](size_t count, size_t bytes, void* self) {
                 void* const at = bytes == 0 || count <= SIZE_MAX / bytes ? of(self).allocate(count * bytes) : nullptr;
                 if (at != nullptr) std::memset(at, 0, count * bytes);
                 return at;
               },
           .realloc = [](void* at, size_t bytes, void* self) { return of(self).reallocate(at, bytes); }} {}

// None where there is no memory: nghttp2 then ends the session.
void* H2Memory::allocate(size_t bytes) {
  const size_t index = bytes == 0 ? 0 : (bytes - 1) / kStepBytes;
  if (index < kClasses) {
    Kept& kept = kept_[index];
    if (Block* const block = kept.first) {
      kept.first = block->next;
      --kept.count;
      return block + 1;
    }
    bytes = (index + 1) * kStepBytes;
  }
  if (bytes > SIZE_MAX - sizeof(Block)) return nullptr;
  auto* const block = static_cast<Block*>(take(sizeof(Block) + bytes));
  if (block == nullptr) return nullptr;
  block->room = bytes;
  return block + 1;
}

void H2Memory::release(void* at) {
  if (at == nullptr) return;
  Block* const block = static_cast<Block*>(at) - 1;
  const size_t index = (block->room - 1) / kStepBytes;
  if (index >= kClasses || kept_[index].count >= kKept) return give_back(block, sizeof(Block) + block->room);
  block->next = kept_[index].first;
  kept_[index].first = block;
  ++kept_[index].count;
}

void* H2Memory::reallocate(void* at, size_t bytes) {
  if (at == nullptr) return allocate(bytes);
  const size_t room = (static_cast<Block*>(at) - 1)->room;
  if (bytes <= room) return at;
  void* const larger = allocate(bytes);
  if (larger == nullptr) return nullptr;
  std::memcpy(larger, at, room);
  release(at);
  return larger;
}

void* H2Memory::allocate_object(size_t bytes) {
  auto* const room = static_cast<Block*>(allocate(sizeof(Block) + bytes));
  if (room == nullptr) throw std::bad_alloc();
  new (room) H2Memory*(this);  // whose it is, for who gives it back
  return room + 1;
}

void H2Memory::release_object(void* at) {
  void* const room = static_cast<Block*>(at) - 1;
  (*static_cast<H2Memory**>(room))->release(room);
}

void H2Memory::trim() {
  for (Kept& kept : kept_) {
    while (Block* const block = kept.first) {
      kept.first = block->next;
      std::free(block);
    }
    kept.count = 0;
  }
}

}  // namespace pillion::http
