// How the load is shared among priority levels, by Envoy's arithmetic (algorithms.md "Priority & panic"). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace pillion::upstream {

struct PriorityHealth {
  uint32_t hosts = 0;
  uint32_t healthy = 0;
  uint32_t degraded = 0;
};

struct PriorityLoad {
  uint32_t healthy = 0;  // percent of the load that goes to its healthy hosts; all levels together make 100
  uint32_t degraded = 0;
  bool panic = false;  // all its hosts are used, whatever their health
};

std::vector<PriorityLoad> share_load(std::span<const PriorityHealth> levels, uint32_t overprovisioning_percent,
                                     uint32_t panic_threshold_percent);

}  // namespace pillion::upstream
