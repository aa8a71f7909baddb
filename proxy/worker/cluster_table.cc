#include "proxy/worker/cluster_table.h"

namespace pillion::worker {

std::shared_ptr<upstream::SharedCluster> SharedClusters::get(const config::Cluster& config) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<upstream::SharedCluster>& slot = by_name_[config.name];
  if (slot == nullptr) {
    slot = std::make_shared<upstream::SharedCluster>(config.name, registry_,
                                                     config.alt_stat_name.empty() ? config.name : config.alt_stat_name);
  }
  return slot;
}

std::vector<std::shared_ptr<upstream::SharedCluster>> SharedClusters::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<upstream::SharedCluster>> out;
  for (const auto& [name, cluster] : by_name_) out.push_back(cluster);
  return out;
}

void ClusterTable::publish(config::SnapshotPtr snapshot) {
  snapshot_ = std::move(snapshot);
  for (auto it = entries_.begin(); it != entries_.end();) {
    const config::Cluster* config = config::find(snapshot_->clusters, it->first);
    if (config != nullptr && config->hash == it->second.cluster->config().hash) {
      apply_assignment(it->second);
      ++it;
      continue;
    }
    it->second.cluster->drain();
    retired_.push_back(std::move(it->second.cluster));
    it = entries_.erase(it);
  }
  if (!retired_.empty()) sweep_timer_.start_after(services_.executor.timers, kSweepInterval);
}

void ClusterTable::apply_assignment(Entry& entry) {
  const config::Cluster& config = entry.cluster->config();
  if (config.type != config::Cluster::Type::eds) return;
  const auto found = snapshot_->endpoints.find(config.eds_name);
  if (found == snapshot_->endpoints.end() || found->second == entry.assignment) return;
  entry.assignment = found->second;
  entry.cluster->set_assignment(found->second);
}

upstream::Cluster* ClusterTable::find(std::string_view name) {
  const auto found = entries_.find(name);
  if (found != entries_.end()) return found->second.cluster.get();
  if (snapshot_ == nullptr) return nullptr;
  const auto config = snapshot_->clusters.find(name);
  if (config == snapshot_->clusters.end()) return nullptr;
  Entry& entry = entries_[std::string(name)];
  entry.cluster = std::make_unique<upstream::Cluster>(services_, config->second, shared_.get(*config->second));
  apply_assignment(entry);
  return entry.cluster.get();
}

void ClusterTable::sweep() {
  std::erase_if(retired_, [](const std::unique_ptr<upstream::Cluster>& c) { return c->is_drained(); });
  if (!retired_.empty()) sweep_timer_.start_after(services_.executor.timers, kSweepInterval);
}

void ClusterTable::clear() {
  entries_.clear();
  retired_.clear();
}

}  // namespace pillion::worker
