// The invariants of a random world, looked at after every turn and when all is over.
#include <fmt/format.h>

#include "tests/sim/clock.h"
#include "tests/sim/random_world.h"

namespace pillion::sim {
namespace {

// What a transport may hold: up to its mark, and what one flush puts on top.
constexpr size_t kProduceBytes = 256 * 1024;
constexpr size_t kTransportBytes = net::Transport::kWriteHighBytes + kProduceBytes + 64 * 1024;
// What one exchange may hold: the body for another try, the body that no endpoint takes, each direction's stream up to
// its mark, and the windows of HTTP/2 that were opened.
constexpr size_t kExchangeBytes = 64 * 1024 + 1024 * 1024 + 2 * (256 * 1024 + kProduceBytes) + 2 * 256 * 1024;
// What filters may keep of it in each direction, and the queue before the one that keeps it.
constexpr size_t kFilteredBytes = 4 * filter::FilterChain::kHeldBytesMax;
// A slice of this size is not copied, and may keep a whole chunk.
constexpr size_t kChunkShare = ChunkPool::kChunkBytes / Chain::kCopyBelow;

}  // namespace

void RandomWorld::turn(Instant limit) {
  world_.step(limit);
  set_clock(world_.now());
  ++result_.turns;
  check();
}

void RandomWorld::advance(Duration duration) {
  const Instant end = world_.now() + duration;
  while (world_.now() < end) turn(end);
}

void RandomWorld::check() {
  for (ClusterPlan& plan : plans_) {
    for (const auto& shared : shared_.all()) {
      if (shared->name() != plan.name) continue;
      check_breakers(plan, *shared);
      check_ejections(plan, *shared);
    }
  }
  check_buffers();
}

void RandomWorld::check_breakers(ClusterPlan& plan, upstream::SharedCluster& shared) {
  const upstream::BreakerCounts& counts = shared.breakers()[0];
  // Each pool may have its only connection above the limit; a cluster that was replaced has its own pools meanwhile.
  const uint32_t pools = static_cast<uint32_t>(workers_.size() * plan.places.size()) * plan.version;
  const struct {
    const char* what;
    uint32_t count, most;
  } kLimits[] = {
      {"connections", counts.connections, plan.limits.connections_max + pools - 1},
      {"pending", counts.pending, plan.limits.pending_max},
      {"requests", counts.requests, plan.limits.requests_max},
      {"retries", counts.retries, plan.limits.retries_max},
  };
  for (const auto& l : kLimits) {
    if (l.count <= l.most) continue;
    ledger_.violate(Invariant::breakers,
                    fmt::format("{} {} of cluster {}, at most {}", l.count, l.what, plan.name, l.most));
  }
}

// Looked at when there are more than before: endpoints may leave later, and do not come back to life by that.
void RandomWorld::check_ejections(ClusterPlan& plan, upstream::SharedCluster& shared) {
  const size_t ejected = shared.ejected(world_.now());
  const size_t before = std::exchange(plan.ejected, ejected);
  if (ejected <= before) return;
  const size_t population = std::max(plan.population, plan.population_before);
  const bool fits = 100 * ejected <= plan.outlier.max_ejection_percent * population;
  if (fits || (plan.outlier.always_eject_one_host && ejected == 1)) return;
  ledger_.violate(Invariant::ejection, fmt::format("{} of {} endpoints of {} ejected, at most {} %", ejected,
                                                   population, plan.name, plan.outlier.max_ejection_percent));
}

void RandomWorld::check_buffers() {
  std::erase_if(network_.links, [](const auto& link) { return link.expired(); });
  size_t connections = 0;
  for (const auto& weak : network_.links) {
    const std::shared_ptr<Link> link = weak.lock();
    for (const int i : {0, 1}) {
      const LinkEnd* const end = link->end(i);
      if (end == nullptr || &end->executor() == &client_node_ || &end->executor() == &origin_node_) continue;
      ++connections;
      const size_t held = end->held_bytes();
      if (held <= kTransportBytes) continue;
      ledger_.violate(Invariant::buffers, fmt::format("a transport holds {} bytes, at most {}", held, kTransportBytes));
    }
  }
  // An exchange is over when its codec has the answer; the codec holds that until the client has it or has gone.
  size_t exchanges = world_.stat("http.sim.downstream_rq_active");
  for (const RequestFacts& r : ledger_.requests) exchanges += r.was_whole ? 0 : 1;
  size_t chunks = 0;
  for (const auto& worker : workers_) chunks += worker->executor.chunks.live();
  const size_t of_each = kExchangeBytes + (options_.filters > 0 ? kFilteredBytes : 0);
  const size_t most = kChunkShare * (connections + exchanges) * of_each / ChunkPool::kChunkBytes + workers_.size();
  result_.buffered_max = std::max(result_.buffered_max, chunks * ChunkPool::kChunkBytes);
  if (chunks <= most) return;
  ledger_.violate(Invariant::buffers, fmt::format("{} chunks held by {} connections and {} exchanges, at most {}",
                                                  chunks, connections, exchanges, most));
}

void RandomWorld::check_ends() {
  for (const RequestFacts& r : ledger_.requests) {
    if (r.ends != 1)
      ledger_.violate(Invariant::ends_once, fmt::format("{} {} ended {} times", r.method, r.path, r.ends));
    if (r.gave_up && r.log_lines == 0 && r.heads == 0) continue;  // the proxy may never have heard of it
    const bool known = r.heads > 0 || r.was_whole;
    if (known && r.log_lines != 1) {
      ledger_.violate(Invariant::ends_once,
                      fmt::format("{} {} has {} lines of access log", r.method, r.path, r.log_lines));
    }
  }
}

void RandomWorld::check_nothing_left() {
  const auto left = [&](std::string what, uint64_t count) {
    if (count != 0) ledger_.violate(Invariant::nothing_left, fmt::format("{} of {}", count, what));
  };
  for (const StatValue& stat : world_.registry.collect()) {
    const std::string& name = stat.name->full;
    // Membership is not use; the end of an ejection is noticed by the next pick.
    if (stat.kind != StatKind::gauge || name.find(".membership_") != std::string::npos ||
        name.ends_with("ejections_active")) {
      continue;
    }
    left(name, stat.value);
  }
  for (const auto& shared : shared_.all()) {
    const upstream::BreakerCounts& counts = shared->breakers()[0];
    left("connections", counts.connections);
    left("pending", counts.pending);
    left("requests", counts.requests);
    left("retries", counts.retries);
    for (const auto& endpoint : shared->endpoints()) {
      left("active_requests", endpoint->active_requests);
      left("active_connections", endpoint->active_connections);
    }
  }
  for (const auto& worker : workers_) {
    left("sessions", worker->has_sessions() ? 1 : 0);
    left("replaced clusters", worker->clusters.retired());
  }
}

// Takes the rest down: what holds memory or a timer without a name.
void RandomWorld::check_nothing_held() {
  request_timer_.stop();
  if (stalled_ != nullptr) on_origin_stall_over();
  stall_timer_.stop();
  // A planted bug may leave exchanges behind, and they hold clusters: as in the worker's own end, they go first.
  for (const auto& worker : workers_) worker->close_sessions();
  world_.settle();
  for (const auto& worker : workers_) worker->clusters.clear();
  world_.settle();
  for (const auto& worker : workers_) {
    event::Executor& executor = worker->executor;
    const size_t chunks = executor.chunks.live();  // reads keep the last one
    if (chunks > 1) ledger_.violate(Invariant::nothing_left, fmt::format("{} chunks", chunks - 1));
    if (executor.timers.armed() > 0) {
      ledger_.violate(Invariant::nothing_left, fmt::format("{} timers", executor.timers.armed()));
    }
  }
}

}  // namespace pillion::sim
