// Programmer errors crash at once, with the place; nothing that a peer sends may ever reach one of these.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace pillion {

[[noreturn]] inline void check_failed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, what);
  std::abort();
}

}  // namespace pillion

// Stays on in release builds.
#define PILLION_CHECK(cond)                               \
  do {                                                    \
    if (!(cond)) [[unlikely]]                             \
      ::pillion::check_failed(__FILE__, __LINE__, #cond); \
  } while (0)

// For paths where a check would be seen in a profile.
#ifdef NDEBUG
#define PILLION_DCHECK(cond) \
  do {                       \
  } while (0)
#else
#define PILLION_DCHECK(cond) PILLION_CHECK(cond)
#endif
