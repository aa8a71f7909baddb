// The balancer's view of a cluster at one moment: hosts by priority, locality and health, each list with its picker.
// Rebuilt as a whole when membership, weights, health or ejections change.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/lb.h"
#include "proxy/upstream/priority.h"

namespace pillion::upstream {

class HostLists {
 public:
  struct Counts {
    uint64_t total = 0;
    uint64_t healthy = 0;
    uint64_t degraded = 0;
    uint64_t ejected = 0;
  };
  struct Choice {
    Endpoint* endpoint = nullptr;  // null: `why` says what is in the way, as a literal
    bool panic = false;            // health was ignored, or would have been
    const char* why = "";
  };

  // The endpoints must outlive the lists.
  HostLists(std::span<const std::unique_ptr<Endpoint>> endpoints, const config::Cluster& config,
            uint32_t overprovisioning_percent, Instant now, Random& random);

  Choice pick(Random& random);
  const Counts& counts() const { return counts_; }
  std::optional<Instant> next_return() const { return next_return_; }  // of an ejected endpoint

 private:
  struct Group {
    std::vector<Endpoint*> hosts;
    std::unique_ptr<Picker> picker;
    void make_picker(const config::Cluster& config, Random& random);
    Endpoint* pick(Random& random) const { return hosts.empty() ? nullptr : hosts[picker->pick(random)]; }
  };
  struct LocalityLists {
    const config::LocalityEndpoints* locality = nullptr;
    size_t hosts = 0;
    Group healthy, degraded;
  };
  // Localities by weight, for one kind of health. Empty where localities carry no weight.
  struct LocalityWheel {
    std::vector<double> weights;  // by index of `localities`
    Edf edf;
  };
  struct Level {
    Group all, healthy, degraded;
    std::vector<LocalityLists> localities;
    LocalityWheel healthy_wheel, degraded_wheel;
    PriorityLoad load;
  };
  enum class Health : uint8_t { healthy, degraded, unhealthy };

  Health health_of(const Endpoint& endpoint, Instant now);
  void file(Endpoint& endpoint, Health health);
  LocalityLists& locality_of(Level& level, const Endpoint& endpoint);
  void weigh_localities(Level& level, uint32_t overprovisioning_percent, Random& random);
  const char* why_none() const;

  const config::Cluster& config_;
  std::vector<Level> levels_;  // by priority
  Counts counts_;
  std::optional<Instant> next_return_;
};

}  // namespace pillion::upstream
