// Virtual time. A World holds any number of executors (workers, clients, servers) and the network between them, all on
// one thread. Time jumps from one instant at which something is due to the next; at each, the network comes first,
// then the executors in the order in which they were made. So the same seed gives the same run.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/base/check.h"
#include "proxy/event/executor.h"

namespace pillion::sim {

class World {
 public:
  static constexpr int kRoundsMax = 10'000;  // of settling at one instant: more is a loop without an end

  explicit World(uint64_t seed) : network(start()), random(seed), seed_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    settle();
    for (const auto& node : nodes_) registry.detach(node->slab);
  }

  struct Node {
    Node(Instant now, uint64_t seed) : executor(now, seed, slab) {}
    StatSlab slab;
    event::Executor executor;
  };
  // One loop. Lives as long as the world.
  event::Executor& add_node() {
    nodes_.push_back(std::make_unique<Node>(now(), seed_ * 31 + nodes_.size()));
    registry.attach(nodes_.back()->slab);
    return nodes_.back()->executor;
  }

  // What happened, folded into one number: two runs that did the same have the same.
  void trace(uint64_t what, uint64_t detail = 0) {
    for (const uint64_t word : {static_cast<uint64_t>(elapsed().count()), what, detail}) {
      trace_ = (trace_ ^ word) * 0x100000001b3;
      trace_ ^= trace_ >> 29;
    }
  }
  uint64_t trace_hash() const { return trace_; }

  Instant now() const { return network.now(); }
  Duration elapsed() const { return now() - start(); }
  uint64_t stat(const std::string& name) const { return registry.value(name); }

  // Everything that can happen without time passing.
  void settle() {
    for (int round = 0; round < kRoundsMax; ++round) {
      bool moved = false;
      for (const auto& node : nodes_) {
        if (node->executor.is_idle()) continue;
        node->executor.end_turn();
        moved = true;
      }
      if (!moved) return;
    }
    PILLION_CHECK(!"the world does not come to rest");
  }

  // Goes to the next instant at which something is due, but not beyond `limit`. False: nothing is due until then, and
  // it is `limit` now.
  bool step(Instant limit) {
    settle();
    std::optional<Instant> next = network.next_deadline();
    for (const auto& node : nodes_) {
      const std::optional<Instant> deadline = node->executor.timers.next_deadline();
      if (deadline && (!next || *deadline < *next)) next = deadline;
    }
    const bool is_due = next && *next <= limit;
    const Instant to = is_due ? std::max(*next, now()) : limit;
    for (const auto& node : nodes_) node->executor.timers.set_now(to);
    network.advance_to(to);
    settle();
    for (const auto& node : nodes_) {
      node->executor.timers.advance_to(to);
      settle();
    }
    return is_due;
  }

  // Runs until `done` holds, at most for `limit`. Whether it does.
  template <class Done>
  bool run_until(Done done, Duration limit = Duration{10'000'000}) {
    const Instant end = now() + limit;
    settle();
    while (!done()) {
      if (!step(end)) return done();
    }
    return true;
  }
  void run_for(Duration duration) {
    const Instant end = now() + duration;
    while (step(end)) {
    }
  }

  event::TimerQueue network;  // what is under way between the nodes
  Random random;              // chance of the network; the executors have their own
  StatRegistry registry;

 private:
  static Instant start() { return Instant{Duration{1'000'000'000}}; }
  uint64_t seed_;
  uint64_t trace_ = 0xcbf29ce484222325;
  std::vector<std::unique_ptr<Node>> nodes_;
};

}  // namespace pillion::sim
