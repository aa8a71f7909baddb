// The clock of programs that simulate: base/time.h asks it. Whoever links the simulator's library and calls this has
// no other clock, so nothing in a simulated world depends on when it runs.
#pragma once

#include "proxy/base/time.h"

namespace pillion::sim {

void set_clock(Instant now);

}  // namespace pillion::sim
