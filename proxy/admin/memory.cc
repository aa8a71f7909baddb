#include "proxy/admin/memory.h"

#include <malloc.h>
#include <unistd.h>

#include <cstdio>

namespace pillion::admin {
namespace {

uint64_t resident_bytes() {
  unsigned long long total = 0;
  unsigned long long resident = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%llu %llu", &total, &resident) != 2) resident = 0;
    std::fclose(file);
  }
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryUse memory_use() {
  const struct mallinfo2 heap = mallinfo2();
  return {.allocated_bytes = heap.uordblks + heap.hblkhd,
          .heap_bytes = heap.arena + heap.hblkhd,
          .free_bytes = heap.fordblks,
          .resident_bytes = resident_bytes()};
}

}  // namespace pillion::admin
