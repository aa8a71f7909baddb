#include "proxy/admin/context.h"

namespace pillion::admin {

const char* Context::state() const {
  switch (state_number()) {
    case 0: return "LIVE";
    case 1: return "DRAINING";
    default: return "PRE_INITIALIZING";
  }
}

uint32_t Context::state_number() const {
  if (health_failed || server.is_draining()) return 1;
  const bool initialized =
      server.snapshot() != nullptr && (options.readiness == nullptr || options.readiness->is_initialized());
  return initialized ? 0 : 2;
}

}  // namespace pillion::admin
