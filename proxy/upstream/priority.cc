#include "proxy/upstream/priority.h"

#include <algorithm>
#include <numeric>

namespace pillion::upstream {
namespace {

constexpr size_t kNone = SIZE_MAX;

struct Availability {
  uint32_t healthy = 0;  // percent, overprovisioned, at most 100
  uint32_t degraded = 0;
};

uint32_t available(uint32_t hosts, uint32_t total, uint32_t overprovisioning) {
  if (total == 0) return 0;
  return static_cast<uint32_t>(std::min<uint64_t>(100, uint64_t{overprovisioning} * hosts / total));
}

bool is_in_panic(const PriorityHealth& h, uint32_t threshold) {
  if (h.hosts == 0) return 0 < threshold;
  return 100.0 * h.healthy / h.hosts + 100.0 * h.degraded / h.hosts < threshold;
}

// All levels are in panic: health says nothing any more, the number of hosts does.
void share_by_hosts(std::span<const PriorityHealth> levels, std::vector<PriorityLoad>& loads) {
  const uint64_t hosts =
      std::accumulate(levels.begin(), levels.end(), uint64_t{0}, [](uint64_t n, const auto& h) { return n + h.hosts; });
  if (hosts == 0) {
    loads[0].healthy = 100;
    return;
  }
  uint32_t left = 100;
  size_t first = kNone;
  for (size_t i = 0; i < levels.size(); ++i) {
    if (first == kNone && levels[i].hosts > 0) first = i;
    loads[i].healthy = static_cast<uint32_t>(uint64_t{100} * levels[i].hosts / hosts);
    loads[i].degraded = 0;
    left -= loads[i].healthy;
  }
  loads[first].healthy += left;
}

}  // namespace

std::vector<PriorityLoad> share_load(std::span<const PriorityHealth> levels, uint32_t overprovisioning_percent,
                                     uint32_t panic_threshold_percent) {
  std::vector<PriorityLoad> loads(levels.size());
  if (levels.empty()) return loads;
  const uint32_t threshold = std::min(panic_threshold_percent, 100u);
  std::vector<Availability> availability;
  uint64_t sum = 0;
  for (const PriorityHealth& h : levels) {
    availability.push_back({available(h.healthy, h.hosts, overprovisioning_percent),
                            available(h.degraded, h.hosts, overprovisioning_percent)});
    sum += availability.back().healthy + availability.back().degraded;
  }
  const auto normalised = static_cast<uint32_t>(std::min<uint64_t>(100, sum));
  if (normalised > 0) {
    uint32_t left = 100;
    size_t first_healthy = kNone, first_degraded = kNone;
    for (size_t i = 0; i < levels.size(); ++i) {
      if (first_healthy == kNone && availability[i].healthy > 0) first_healthy = i;
      loads[i].healthy = std::min(left, availability[i].healthy * 100 / normalised);
      left -= loads[i].healthy;
    }
    for (size_t i = 0; i < levels.size(); ++i) {
      if (first_degraded == kNone && availability[i].degraded > 0) first_degraded = i;
      loads[i].degraded = std::min(left, availability[i].degraded * 100 / normalised);
      left -= loads[i].degraded;
    }
    // What is left now comes from rounding.
    if (first_healthy != kNone) {
      loads[first_healthy].healthy += left;
    } else {
      loads[first_degraded].degraded += left;
    }
  }
  if (threshold == 0 && normalised == 0) {
    loads[0].healthy = 100;
    return loads;
  }
  bool all_in_panic = true;
  for (size_t i = 0; i < levels.size(); ++i) {
    loads[i].panic = normalised < 100 && is_in_panic(levels[i], threshold);
    all_in_panic = all_in_panic && loads[i].panic;
  }
  if (all_in_panic) share_by_hosts(levels, loads);
  return loads;
}

}  // namespace pillion::upstream
