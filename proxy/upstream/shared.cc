#include "proxy/upstream/shared.h"

#include <algorithm>

namespace pillion::upstream {

const char* name_of(EjectionReason reason) {
  switch (reason) {
    case EjectionReason::none: return "NONE";
    case EjectionReason::consecutive_5xx: return "CONSECUTIVE_5XX";
    case EjectionReason::consecutive_gateway_failure: return "CONSECUTIVE_GATEWAY_FAILURE";
    case EjectionReason::consecutive_local_origin: return "CONSECUTIVE_LOCAL_ORIGIN_FAILURE";
  }
  return "NONE";
}

SharedCluster::SharedCluster(std::string name, StatRegistry& registry, const std::string& stat_name)
    : name_(std::move(name)), registry_(registry), stat_name_(stat_name), stats_(registry, stat_name) {}

StatId SharedCluster::status_counter(uint16_t status) const {
  const StatScope scope("cluster", "envoy_cluster_name", stat_name_);
  return registry_.counter(scope.name("upstream_rq_" + std::to_string(status)));
}

std::shared_ptr<SharedEndpoint> SharedCluster::endpoint(const Address& address) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<SharedEndpoint>& known = endpoints_[address];
  if (std::shared_ptr<SharedEndpoint> alive = known.lock()) return alive;
  auto fresh = std::make_shared<SharedEndpoint>(address);
  known = fresh;
  if (endpoints_.size() >= sweep_at_) {
    std::erase_if(endpoints_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(64, endpoints_.size() * 2);
  }
  return fresh;
}

std::vector<std::shared_ptr<SharedEndpoint>> SharedCluster::endpoints() const {
  std::vector<std::pair<std::string, std::shared_ptr<SharedEndpoint>>> named;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [address, known] : endpoints_) {
      if (std::shared_ptr<SharedEndpoint> alive = known.lock()) named.emplace_back(address.to_string(), alive);
    }
  }
  std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::shared_ptr<SharedEndpoint>> out;
  out.reserve(named.size());
  for (auto& [text, endpoint] : named) out.push_back(std::move(endpoint));
  return out;
}

size_t SharedCluster::count_ejected(Instant now) const {
  size_t n = 0;
  for (const auto& [address, known] : endpoints_) {
    const std::shared_ptr<SharedEndpoint> alive = known.lock();
    if (alive != nullptr && alive->is_ejected(now)) ++n;
  }
  return n;
}

size_t SharedCluster::ejected(Instant now) const {
  const std::lock_guard lock(mutex_);
  return count_ejected(now);
}

}  // namespace pillion::upstream
