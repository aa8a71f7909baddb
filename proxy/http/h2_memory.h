// What nghttp2 allocates for one session: a dozen small things a request, which come and go in bursts as wide as the
// streams. They are kept for the next ones while streams are open; an idle connection keeps nothing.
#pragma once

#include <nghttp2/nghttp2.h>

#include <array>
#include <cstddef>

namespace pillion::http {

class H2Memory {
 public:
  static constexpr size_t kStepBytes = 64;  // sizes of one class lie this close
  static constexpr size_t kClasses = 8;     // larger things come from the allocator
  static constexpr size_t kKeptMax = 128;   // of each class

  H2Memory();
  H2Memory(const H2Memory&) = delete;
  H2Memory& operator=(const H2Memory&) = delete;
  ~H2Memory() { trim(); }

  nghttp2_mem* for_nghttp2() { return &mem_; }  // outlives the session
  // For an object of ours that comes and goes with theirs; never null. Outlives it, too.
  void* allocate_object(size_t bytes);
  static void release_object(void* at);
  void trim();  // gives back what nobody uses

 private:
  struct alignas(2 * sizeof(void*)) Block {
    Block* next;
    size_t room;  // bytes behind this
  };
  struct Kept {
    Block* first = nullptr;
    size_t count = 0;
  };

  void* allocate(size_t bytes);
  void release(void* at);
  void* reallocate(void* at, size_t bytes);

  nghttp2_mem mem_;
  std::array<Kept, kClasses> kept_{};
};

}  // namespace pillion::http
