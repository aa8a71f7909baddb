// What a server is started with, and what it says of its listeners.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/time.h"

namespace pillion::worker {

struct ServerOptions {
  uint32_t concurrency = 1;              // workers, 1..128
  Duration drain_time{600'000'000};      // SIGTERM to the last connection (--drain-time-s)
  uint64_t seed = 0;                     // of the workers' randomness
  std::vector<Address> bind_at_start;    // capture ports: bound before the first snapshot, connections held (bounded)
  uint32_t held_connections_max = 1024;  // … in number
  Duration held_time_max{15'000'000};    // … and time
};

// Where a listener stands, for /listeners and for errors of binding.
struct ListenerStatus {
  std::string name;
  std::vector<Address> addresses;  // as bound; of the configuration where bind_to_port is false
  std::string error;               // "bind 0.0.0.0:80: EADDRINUSE"; empty where it is well
};

}  // namespace pillion::worker
