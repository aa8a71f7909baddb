#include "proxy/upstream/hosts.h"

#include <algorithm>

namespace pillion::upstream {

HostLists::HostLists(std::span<const std::unique_ptr<Endpoint>> endpoints, const config::Cluster& config,
                     uint32_t overprovisioning_percent, Instant now, Random& random)
    : config_(config) {
  for (const std::unique_ptr<Endpoint>& e : endpoints) file(*e, health_of(*e, now));
  std::vector<PriorityHealth> health;
  for (Level& level : levels_) {
    health.push_back({static_cast<uint32_t>(level.all.hosts.size()), static_cast<uint32_t>(level.healthy.hosts.size()),
                      static_cast<uint32_t>(level.degraded.hosts.size())});
  }
  const std::vector<PriorityLoad> loads = share_load(health, overprovisioning_percent, config.panic_threshold_percent);
  for (size_t i = 0; i < levels_.size(); ++i) {
    Level& level = levels_[i];
    level.load = loads[i];
    for (Group* group : {&level.all, &level.healthy, &level.degraded}) group->make_picker(config, random);
    if (config.locality_weighted) weigh_localities(level, overprovisioning_percent, random);
  }
}

void HostLists::Group::make_picker(const config::Cluster& config, Random& random) {
  if (hosts.empty()) return;
  std::vector<LbHost> lb;
  lb.reserve(hosts.size());
  for (const Endpoint* e : hosts) lb.push_back({e->weight(), &e->shared()});
  picker = upstream::make_picker(config, std::move(lb), random);
}

HostLists::Health HostLists::health_of(const Endpoint& endpoint, Instant now) {
  ++counts_.total;
  if (endpoint.is_ejected(now)) {
    ++counts_.ejected;
    const Instant back{Duration{endpoint.shared().ejected_until_us.load(std::memory_order_relaxed)}};
    if (!next_return_ || back < *next_return_) next_return_ = back;
    return Health::unhealthy;
  }
  if (endpoint.is_config_healthy()) {
    ++counts_.healthy;
    return Health::healthy;
  }
  if (!endpoint.is_config_degraded()) return Health::unhealthy;
  ++counts_.degraded;
  return Health::degraded;
}

void HostLists::file(Endpoint& endpoint, Health health) {
  if (endpoint.priority() >= levels_.size()) levels_.resize(endpoint.priority() + 1);
  Level& level = levels_[endpoint.priority()];
  LocalityLists* locality = config_.locality_weighted ? &locality_of(level, endpoint) : nullptr;
  level.all.hosts.push_back(&endpoint);
  if (locality != nullptr) ++locality->hosts;
  if (health == Health::unhealthy) return;
  (health == Health::healthy ? level.healthy : level.degraded).hosts.push_back(&endpoint);
  if (locality == nullptr) return;
  (health == Health::healthy ? locality->healthy : locality->degraded).hosts.push_back(&endpoint);
}

HostLists::LocalityLists& HostLists::locality_of(Level& level, const Endpoint& endpoint) {
  // The endpoints of a locality come one after the other, except those that an update left in place.
  for (auto it = level.localities.rbegin(); it != level.localities.rend(); ++it) {
    if (it->locality == endpoint.locality_endpoints()) return *it;
  }
  level.localities.push_back({});
  level.localities.back().locality = endpoint.locality_endpoints();
  return level.localities.back();
}

// w_eff = w * min(1, overprovisioning * available / total). A locality without a weight gets nothing.
void HostLists::weigh_localities(Level& level, uint32_t overprovisioning_percent, Random& random) {
  for (const bool healthy : {true, false}) {
    LocalityWheel& wheel = healthy ? level.healthy_wheel : level.degraded_wheel;
    for (size_t i = 0; i < level.localities.size(); ++i) {
      LocalityLists& l = level.localities[i];
      Group& group = healthy ? l.healthy : l.degraded;
      const double share = static_cast<double>(group.hosts.size()) / static_cast<double>(l.hosts);
      const double weight = l.locality == nullptr ? 0 : l.locality->weight;
      wheel.weights.push_back(weight * std::min(1.0, overprovisioning_percent / 100.0 * share));
      if (wheel.weights.back() <= 0) continue;
      group.make_picker(config_, random);
      wheel.edf.add(static_cast<uint32_t>(i), wheel.weights.back(), random);
    }
  }
}

HostLists::Choice HostLists::pick(Random& random) {
  const uint64_t point = random.below(100) + 1;
  Level* level = nullptr;
  bool healthy = true;
  uint64_t sum = 0;
  for (Level& l : levels_) {
    if (sum += l.load.healthy; level == nullptr && point <= sum) level = &l;
  }
  if (level == nullptr) {
    healthy = false;
    for (Level& l : levels_) {
      if (sum += l.load.degraded; level == nullptr && point <= sum) level = &l;
    }
  }
  if (level == nullptr) return {nullptr, false, why_none()};
  if (level->load.panic) {
    if (config_.fail_traffic_on_panic) return {nullptr, true, "too few endpoints are healthy: fail_traffic_on_panic"};
    Endpoint* const any = level->all.pick(random);
    return {any, true, any == nullptr ? why_none() : ""};
  }
  LocalityWheel& wheel = healthy ? level->healthy_wheel : level->degraded_wheel;
  Endpoint* picked = nullptr;
  if (!wheel.edf.empty()) {
    const uint32_t i = wheel.edf.peek();
    wheel.edf.advance(wheel.weights[i]);
    picked = (healthy ? level->localities[i].healthy : level->localities[i].degraded).pick(random);
  } else {
    picked = (healthy ? level->healthy : level->degraded).pick(random);
  }
  return {picked, false, picked == nullptr ? why_none() : ""};
}

const char* HostLists::why_none() const {
  if (counts_.total == 0) return "the cluster has no endpoints";
  if (counts_.ejected == counts_.total) return "all endpoints of the cluster are ejected";
  if (counts_.ejected > 0) return "all endpoints of the cluster are ejected or unhealthy";
  return "all endpoints of the cluster are unhealthy";
}

}  // namespace pillion::upstream
