// The runtime of a cluster, a worker's half: endpoints with their pools, and the balancer's lists, which are rebuilt
// when the shared generation moved or an ejection ended. Made on first use; keyed by name and content hash, so that an
// update of one cluster leaves the others alone. The half that all workers share is SharedCluster.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/base/error.h"
#include "proxy/base/list.h"
#include "proxy/upstream/context.h"
#include "proxy/upstream/dns.h"
#include "proxy/upstream/endpoint.h"
#include "proxy/upstream/hosts.h"

namespace pillion::upstream {

struct PickContext {
  uint32_t priority = 0;           // routing priority: which breakers count
  std::optional<uint64_t> hash;    // of the route's hash policies
  std::span<const Address> avoid;  // endpoints that were tried already (previous_hosts)
  uint32_t attempts_max = 1;       // host_selection_retry_max_attempts
  Address original_destination;    // ORIGINAL_DST clusters
};

// Somebody who waits for the first answer of a DNS cluster; embedded in it.
struct AssignmentTag;
class AssignmentWaiter : public ListNode<AssignmentTag> {
 public:
  virtual void on_assignment() = 0;

 protected:
  ~AssignmentWaiter() = default;
};

class Cluster final : private AssignmentEvents {
 public:
  static constexpr Duration kSweepInterval{5'000'000};   // endpoints made on demand: how often idle ones are dropped
  static constexpr size_t kOnDemandEndpointsMax = 4096;  // ORIGINAL_DST: of one worker

  // STATIC clusters have their endpoints from the configuration, DNS clusters begin to ask, EDS clusters wait for
  // set_assignment().
  Cluster(Services& services, std::shared_ptr<const config::Cluster> config, std::shared_ptr<SharedCluster> shared);
  // What still runs is reset.
  ~Cluster();

  const config::Cluster& config() const { return *context_.config; }
  SharedCluster& shared() const { return *context_.shared; }
  const ClusterStats& stats() const { return context_.stats(); }
  Services& services() const { return context_.services; }
  ClusterContext& context() { return context_; }

  // Replaces the endpoints; those that stay keep their pools, those that left drain. EDS, STATIC and DNS all end here.
  void set_assignment(std::shared_ptr<const config::EndpointAssignment> assignment);
  bool has_assignment() const { return assignment_ != nullptr; }
  // A DNS cluster that has no answer yet, good or bad: pick() has nothing to choose from, but soon may.
  bool must_wait() const { return dns_ != nullptr && !dns_->has_answered(); }
  void wait(AssignmentWaiter& waiter) { waiters_.push_back(waiter); }  // told when must_wait() ends; unlink to cancel

  // Priority, locality, health, then the policy. Errors: no_healthy_upstream with the reason in words.
  Expected<Endpoint*> pick(const PickContext& context);

  const config::CircuitBreaker& limits(uint32_t priority) const { return context_.limits(priority); }
  BreakerCounts& counts(uint32_t priority) const { return context_.counts(priority); }
  void report(Endpoint& endpoint, const Outcome& outcome) { context_.report(endpoint.shared(), outcome); }

  void drain();             // the cluster left the configuration: no new streams, connections close when idle
  bool is_drained() const;  // nothing runs any more and nobody refers to it: may be destroyed
  const std::vector<std::unique_ptr<Endpoint>>& endpoints() const { return endpoints_; }
  void add_stat(StatId id, uint64_t n = 1) const { context_.add_stat(id, n); }
  void sub_stat(StatId id, uint64_t n = 1) const { context_.sub_stat(id, n); }

 private:
  struct OnDemand {
    std::unique_ptr<Endpoint> endpoint;
    bool used = true;  // since the last sweep
  };
  void on_assignment(std::shared_ptr<const config::EndpointAssignment> assignment) override;
  void on_dns_failure() override;
  void rebuild();
  void count_membership(const HostLists::Counts& counts);
  Expected<Endpoint*> pick_original_destination(const PickContext& context);
  void on_sweep();
  void sweep_leaving();

  ClusterContext context_;
  std::shared_ptr<const config::EndpointAssignment> assignment_;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::vector<std::unique_ptr<Endpoint>> leaving_;  // draining pools
  std::unordered_map<Address, OnDemand, AddressHash> on_demand_;
  std::unique_ptr<HostLists> lists_;
  HostLists::Counts counted_;  // what the membership gauges say
  uint64_t seen_generation_ = 0;
  std::optional<Instant> next_return_;  // when the first ejected endpoint comes back
  event::Timer sweep_timer_;
  std::unique_ptr<Dns> dns_;  // STRICT_DNS, LOGICAL_DNS
  List<AssignmentWaiter, AssignmentTag> waiters_;
  bool is_draining_ = false;
};

// Finds a worker's runtime clusters by name, making them on first use. Implemented by worker/runtime.
class ClusterManager {
 public:
  virtual ~ClusterManager() = default;
  virtual Cluster* find(std::string_view name) = 0;  // null: no such cluster in the configuration
};

}  // namespace pillion::upstream
