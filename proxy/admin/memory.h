// How much memory the process has.
#pragma once

#include <cstdint>

namespace pillion::admin {

struct MemoryUse {
  uint64_t allocated_bytes = 0;  // by the program
  uint64_t heap_bytes = 0;       // held by the allocator
  uint64_t free_bytes = 0;       // of these, free
  uint64_t resident_bytes = 0;   // of the process
};
MemoryUse memory_use();

}  // namespace pillion::admin
