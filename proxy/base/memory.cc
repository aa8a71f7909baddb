#include "proxy/base/memory.h"

#include <malloc.h>

namespace pillion {

void return_free_memory() {
  malloc_trim(0);
}

}  // namespace pillion
