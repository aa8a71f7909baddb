// What /clusters tells: the clusters of the snapshot, each with its endpoints and, where a worker has used it, the
// shared half that counts.
#pragma once

#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include "proxy/config/snapshot.h"
#include "proxy/worker/server.h"

namespace pillion::admin {

struct EndpointStatus {
  Address address;
  config::Endpoint config;  // weight, health and name; defaults where a resolved address belongs to no one name
  config::Locality locality;
  uint32_t priority = 0;
  std::shared_ptr<const upstream::SharedEndpoint> shared;  // null: no worker has used it
};

struct ClusterStatus {
  std::shared_ptr<const config::Cluster> config;
  bool added_via_api = false;
  std::shared_ptr<upstream::SharedCluster> shared;  // null: no worker has used it
  std::vector<EndpointStatus> endpoints;
};

// By name. `static_clusters` are those of the bootstrap.
std::vector<ClusterStatus> cluster_statuses(const worker::Server& server,
                                            const config::Table<config::Cluster>& static_clusters);

}  // namespace pillion::admin
