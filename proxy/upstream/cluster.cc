#include "proxy/upstream/cluster.h"

#include <algorithm>

namespace pillion::upstream {
namespace {

Error no_host(const char* why) {
  return {Code::no_healthy_upstream, Side::local, Retry::never, 0, why};
}

}  // namespace

Cluster::Cluster(Services& services, std::shared_ptr<const config::Cluster> config,
                 std::shared_ptr<SharedCluster> shared)
    : context_{services, std::move(config), std::move(shared)},
      sweep_timer_(event::Timer::bind<&Cluster::on_sweep>(this)) {
  using Type = config::Cluster::Type;
  const Type type = this->config().type;
  if (type == Type::static_ && this->config().inline_endpoints != nullptr) {
    set_assignment(this->config().inline_endpoints);
  }
  if ((type == Type::strict_dns || type == Type::logical_dns) && services.resolver != nullptr) {
    AssignmentEvents& events = *this;
    dns_ = std::make_unique<Dns>(services.executor, *services.resolver, context_.config, events);
  }
}

Cluster::~Cluster() {
  dns_.reset();
  lists_.reset();
  for (auto* list : {&endpoints_, &leaving_}) {
    for (const std::unique_ptr<Endpoint>& e : *list) e->close_pools();
  }
  for (auto& [address, entry] : on_demand_) entry.endpoint->close_pools();
  count_membership({});
}

// === membership ===

void Cluster::set_assignment(std::shared_ptr<const config::EndpointAssignment> assignment) {
  add_stat(stats().update_success);
  if (assignment_ != nullptr && assignment != nullptr && assignment->hash != 0 &&
      assignment->hash == assignment_->hash) {
    add_stat(stats().update_no_rebuild);
    return;
  }
  assignment_ = std::move(assignment);
  std::unordered_map<Address, std::unique_ptr<Endpoint>, AddressHash> known;
  for (std::unique_ptr<Endpoint>& e : endpoints_) {
    const Address address = e->address();
    known.emplace(address, std::move(e));
  }
  endpoints_.clear();
  bool changed = false;
  std::unordered_map<Address, bool, AddressHash> seen;  // an address counts once, where it comes first
  if (assignment_ != nullptr) {
    for (const config::LocalityEndpoints& l : assignment_->localities) {
      const std::shared_ptr<const config::LocalityEndpoints> locality(assignment_, &l);
      for (const config::Endpoint& e : l.endpoints) {
        if (e.address.is_none() || !seen.emplace(e.address, true).second) continue;
        const std::shared_ptr<const config::Endpoint> config(assignment_, &e);
        const auto found = known.find(e.address);
        if (found != known.end() && found->second->update(config, locality)) {
          endpoints_.push_back(std::move(found->second));
          known.erase(found);
          continue;
        }
        changed = true;
        endpoints_.push_back(
            std::make_unique<Endpoint>(context_, config, locality, context_.shared->endpoint(e.address)));
      }
    }
  }
  for (auto& [address, endpoint] : known) {
    changed = true;
    endpoint->drain_pools();
    leaving_.push_back(std::move(endpoint));
  }
  if (changed) add_stat(stats().membership_change);
  if (!leaving_.empty() && !sweep_timer_.is_armed()) {
    sweep_timer_.start_after(services().executor.timers, kSweepInterval);
  }
  context_.population = endpoints_.size();
  rebuild();
}

void Cluster::rebuild() {
  event::Executor& executor = services().executor;
  seen_generation_ = context_.shared->generation();
  const uint32_t overprovisioning = assignment_ == nullptr ? 140 : assignment_->overprovisioning_percent;
  lists_ = std::make_unique<HostLists>(endpoints_, config(), overprovisioning, executor.now(), executor.random);
  next_return_ = lists_->next_return();
  count_membership(lists_->counts());
  if (!config().close_connections_on_host_health_failure) return;
  for (const std::unique_ptr<Endpoint>& e : endpoints_) {
    const bool is_well = e->is_config_healthy() || e->is_config_degraded();
    if (!is_well || e->is_ejected(executor.now())) e->close_pools();
  }
}

void Cluster::count_membership(const HostLists::Counts& counts) {
  const auto move = [&](StatId id, uint64_t from, uint64_t to) { add_stat(id, to - from); };  // wraps, as gauges do
  move(stats().membership_total, counted_.total, counts.total);
  move(stats().membership_healthy, counted_.healthy, counts.healthy);
  move(stats().membership_degraded, counted_.degraded, counts.degraded);
  counted_ = counts;
}

void Cluster::on_assignment(std::shared_ptr<const config::EndpointAssignment> assignment) {
  set_assignment(std::move(assignment));
  if (must_wait()) return;
  while (AssignmentWaiter* w = waiters_.pop_front()) w->on_assignment();
}

void Cluster::on_dns_failure() {
  add_stat(stats().update_failure);
  if (must_wait()) return;
  while (AssignmentWaiter* w = waiters_.pop_front()) w->on_assignment();
}

// === picking ===

Expected<Endpoint*> Cluster::pick(const PickContext& context) {
  if (config().type == config::Cluster::Type::original_dst) return pick_original_destination(context);
  event::Executor& executor = services().executor;
  if (next_return_ && executor.now() >= *next_return_) {
    context_.shared->settle(executor.now(), executor.stats);
    rebuild();
  } else if (lists_ == nullptr || seen_generation_ != context_.shared->generation()) {
    rebuild();
  }
  HostLists::Choice choice;
  // Like Envoy: the first choice and attempts_max more, then whatever came last.
  for (uint32_t attempt = 0;; ++attempt) {
    choice = lists_->pick(executor.random);
    if (choice.panic) add_stat(stats().lb_healthy_panic);
    if (choice.endpoint == nullptr) {
      add_stat(stats().upstream_cx_none_healthy);
      return std::unexpected(no_host(choice.why));
    }
    const bool was_tried =
        std::find(context.avoid.begin(), context.avoid.end(), choice.endpoint->address()) != context.avoid.end();
    if (!was_tried || attempt >= context.attempts_max) break;
  }
  return choice.endpoint;
}

Expected<Endpoint*> Cluster::pick_original_destination(const PickContext& context) {
  if (!context.original_destination.is_ip()) {
    add_stat(stats().upstream_cx_none_healthy);
    return std::unexpected(no_host("the connection has no original destination"));
  }
  Address address = context.original_destination;
  if (config().original_dst_port_override) address.set_port(*config().original_dst_port_override);
  const auto found = on_demand_.find(address);
  if (found != on_demand_.end()) {
    found->second.used = true;
    return found->second.endpoint.get();
  }
  if (on_demand_.size() >= kOnDemandEndpointsMax) {
    add_stat(stats().upstream_cx_none_healthy);
    return std::unexpected(no_host("too many original destinations at once"));
  }
  auto made = std::make_shared<config::Endpoint>();
  made->address = address;
  auto endpoint = std::make_unique<Endpoint>(context_, std::move(made), nullptr, context_.shared->endpoint(address));
  Endpoint* const picked = endpoint.get();
  on_demand_[address] = {std::move(endpoint)};
  context_.population = on_demand_.size();
  add_stat(stats().membership_change);
  count_membership({.total = on_demand_.size(), .healthy = on_demand_.size()});
  if (!sweep_timer_.is_armed()) sweep_timer_.start_after(services().executor.timers, kSweepInterval);
  return picked;
}

// === teardown ===

void Cluster::on_sweep() {
  sweep_leaving();
  for (auto it = on_demand_.begin(); it != on_demand_.end();) {
    const Endpoint& e = *it->second.endpoint;
    const bool was_used = std::exchange(it->second.used, false);
    const bool is_active = e.shared().active_connections.load(std::memory_order_relaxed) > 0;
    it = was_used || is_active || !e.is_empty() ? std::next(it) : on_demand_.erase(it);
  }
  if (config().type == config::Cluster::Type::original_dst && on_demand_.size() != context_.population) {
    context_.population = on_demand_.size();
    count_membership({.total = on_demand_.size(), .healthy = on_demand_.size()});
  }
  if (!leaving_.empty() || !on_demand_.empty()) {
    sweep_timer_.start_after(services().executor.timers, kSweepInterval);
  }
}

void Cluster::sweep_leaving() {
  std::erase_if(leaving_, [](const std::unique_ptr<Endpoint>& e) { return e->is_empty(); });
}

void Cluster::drain() {
  is_draining_ = true;
  dns_.reset();
  while (AssignmentWaiter* w = waiters_.pop_front()) w->on_assignment();
  for (const std::unique_ptr<Endpoint>& e : endpoints_) e->drain_pools();
  for (auto& [address, entry] : on_demand_) entry.endpoint->drain_pools();
}

bool Cluster::is_drained() const {
  const auto is_empty = [](const std::unique_ptr<Endpoint>& e) { return e->is_empty(); };
  return is_draining_ && context_.users == 0 && std::all_of(endpoints_.begin(), endpoints_.end(), is_empty) &&
         std::all_of(leaving_.begin(), leaving_.end(), is_empty) &&
         std::all_of(on_demand_.begin(), on_demand_.end(),
                     [&](const auto& entry) { return is_empty(entry.second.endpoint); });
}

}  // namespace pillion::upstream
