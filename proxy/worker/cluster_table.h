// A worker's runtime clusters by name. Made on first use; one whose configuration did not change keeps its pools over
// an update, one that changed or left drains aside until nothing of it runs.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/config/snapshot.h"
#include "proxy/event/timer_queue.h"
#include "proxy/upstream/cluster.h"

namespace pillion::worker {

// The halves that the workers share. Thread-safe. Entries stay for the life of the process, as their counters do.
class SharedClusters {
 public:
  explicit SharedClusters(StatRegistry& registry) : registry_(registry) {}
  std::shared_ptr<upstream::SharedCluster> get(const config::Cluster& config);
  std::vector<std::shared_ptr<upstream::SharedCluster>> all() const;  // by name

 private:
  StatRegistry& registry_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<upstream::SharedCluster>, std::less<>> by_name_;
};

class ClusterTable final : public upstream::ClusterManager {
 public:
  static constexpr Duration kSweepInterval{1'000'000};

  ClusterTable(upstream::Services& services, SharedClusters& shared) : services_(services), shared_(shared) {}

  void publish(config::SnapshotPtr snapshot);
  upstream::Cluster* find(std::string_view name) override;
  size_t retired() const { return retired_.size(); }
  void clear();

 private:
  struct Entry {
    std::unique_ptr<upstream::Cluster> cluster;
    std::shared_ptr<const config::EndpointAssignment> assignment;  // of EDS, as applied last
  };
  void apply_assignment(Entry& entry);
  void sweep();

  upstream::Services& services_;
  SharedClusters& shared_;
  config::SnapshotPtr snapshot_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<std::unique_ptr<upstream::Cluster>> retired_;
  event::Timer sweep_timer_{event::Timer::bind<&ClusterTable::sweep>(this)};
};

}  // namespace pillion::worker
