// A world made of chance: workers, clusters, routes, origins and clients chosen by the seed, faults at random instants,
// and every invariant looked at after every turn. Then the faults end, everything comes to rest, and nothing may be
// left of it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/client.h"
#include "tests/sim/ledger.h"
#include "tests/sim/origin.h"
#include "tests/sim/worker.h"

namespace pillion::sim {

// A mistake that the invariants must find. Each is made at a seam, and is what the world would see of a proxy that has
// it: one that was given more than what is checked behaves like one that does not keep to it.
enum class Plant : uint8_t {
  none,
  forgets_timeouts,       // requests that nobody answers never end
  logs_twice,             // a request ends twice
  retries_without_limit,  // the retry policy's number does not count
  retries_what_ran,       // what no policy repeats is repeated
  cuts_responses,         // a response that broke off is passed on as whole
  mixes_responses,        // the answer to another request
  ejects_all,             // max_ejection_percent does not count
  ignores_connections,    // … nor do the breakers' limits
  ignores_pending,
  ignores_requests,
  ignores_retries,
  never_congested,  // writes on, however slow the reader
  loses_dials,      // nobody is told how a dial ended
  kCount
};

struct RandomOptions {
  explicit RandomOptions(uint64_t seed);  // chosen by chance
  uint64_t seed;
  uint32_t workers, clusters, endpoints;  // endpoints of each cluster
  uint32_t requests;
  Duration between_requests;
  uint32_t connections;  // of clients
  size_t request_bytes_max, response_bytes_max;
  LinkOptions link;
  // Of 1000 requests, or answers:
  uint32_t abandoned, endless, errors, resets, refusals, hangs, cuts, closes, trailers;
  // Of 1000 faults, which come about every `between_faults`; what is left is an origin that changes its mood.
  Duration between_faults;
  uint32_t client_resets, client_stalls, origin_stalls, silences, goaways, updates;
  Plant plant = Plant::none;
  uint32_t filters = 0;  // HTTP filters with moods, in each connection manager
};

struct RandomResult {
  uint64_t trace_hash = 0;
  Duration elapsed{};
  uint64_t requests = 0, whole = 0, retries = 0, replays = 0, ejections = 0, turns = 0, paused = 0;
  size_t buffered_max = 0;
  std::vector<std::string> violations;
  uint32_t counts[static_cast<size_t>(Invariant::kCount)] = {};
};

class RandomWorld {
 public:
  explicit RandomWorld(const RandomOptions& options);
  ~RandomWorld();
  RandomResult run();

 private:
  static constexpr Duration kPatience{60'000'000};  // longer than all timeouts of the proxy together

  enum class Mood : uint8_t { well, failing, resetting, hanging, refusing, unreachable };
  struct Place {  // of an origin
    Address address;
    std::unique_ptr<Origin> origin;
    Mood mood = Mood::well;
  };
  struct ClusterPlan {
    std::string name;
    bool http2 = false;
    std::vector<std::unique_ptr<Place>> places;
    config::CircuitBreaker limits;     // the most of all versions so far
    config::OutlierDetection outlier;  // for ever
    config::RetryPolicy retry;
    size_t population = 0;  // of the assignment of now
    size_t population_before = 0;
    size_t ejected = 0;  // when it was looked at last
    uint32_t version = 0;
  };

  // random_world.cc: what happens
  void make_clusters();
  void publish();
  std::shared_ptr<const config::Cluster> cluster_config(ClusterPlan& plan);
  std::shared_ptr<const config::EndpointAssignment> assignment(ClusterPlan& plan);
  std::shared_ptr<const config::RouteConfiguration> routes();
  void choose_retry(ClusterPlan& plan);
  void allow(RequestFacts& facts, const config::RetryPolicy& policy) const;
  void on_request();
  void on_fault();
  void drop_silent_clients();
  void on_mood_change();
  void on_update();
  void on_origin_stall_over();
  void heal();
  Reaction react(Place& place, bool http2, const SeenRequest& request);
  ClientConnection* connection_for(bool http2);
  bool chance(uint32_t of_1000) { return random_.below(1000) < of_1000; }
  uint32_t between(uint32_t low, uint32_t high) { return low + static_cast<uint32_t>(random_.below(high - low + 1)); }
  Duration about(Duration d) { return Duration{1 + static_cast<int64_t>(random_.below(2 * d.count()))}; }
  bool all_ended() const;

  // checks.cc: what must hold
  void turn(Instant limit);
  void advance(Duration duration);
  void check();
  void check_breakers(ClusterPlan& plan, upstream::SharedCluster& shared);
  void check_ejections(ClusterPlan& plan, upstream::SharedCluster& shared);
  void check_buffers();
  void check_ends();
  void check_nothing_left();
  void check_nothing_held();

  const RandomOptions options_;
  World world_;
  Random random_;
  Ledger ledger_;
  Network network_{world_};
  event::Executor& client_node_;
  event::Executor& origin_node_;
  SimDialer client_dialer_{network_, client_node_};
  worker::SharedClusters shared_{world_.registry};
  config::HttpConnectionManager manager_;
  std::vector<ClusterPlan> plans_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Address> ports_;  // http1 and http2 of each worker
  std::vector<std::unique_ptr<ClientConnection>> clients_;
  event::Timer request_timer_{event::Timer::bind<&RandomWorld::on_request>(this)};
  event::Timer fault_timer_{event::Timer::bind<&RandomWorld::on_fault>(this)};
  event::Timer stall_timer_{event::Timer::bind<&RandomWorld::on_origin_stall_over>(this)};
  Origin* stalled_ = nullptr;
  config::SnapshotPtr snapshot_;
  RandomResult result_;
  bool is_calm_ = false;  // no more faults
};

RandomResult run_random_world(uint64_t seed, Plant plant = Plant::none, uint32_t filters = 0);

}  // namespace pillion::sim
