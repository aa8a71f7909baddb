#include "proxy/admin/cluster_status.h"

#include <unordered_map>

namespace pillion::admin {
namespace {

using SharedByAddress = std::unordered_map<Address, std::shared_ptr<const upstream::SharedEndpoint>, AddressHash>;

std::shared_ptr<const config::EndpointAssignment> assignment_of(const config::Cluster& cluster,
                                                                const config::Snapshot& snapshot) {
  if (cluster.type != config::Cluster::Type::eds) return cluster.inline_endpoints;
  const auto found = snapshot.endpoints.find(cluster.eds_name);
  return found == snapshot.endpoints.end() ? cluster.inline_endpoints : found->second;
}

EndpointStatus from_config(const config::LocalityEndpoints& locality, const config::Endpoint& endpoint) {
  return {.address = endpoint.address,
          .config = endpoint,
          .locality = locality.locality,
          .priority = locality.priority,
          .shared = nullptr};
}

// A resolved address does not say of which name it is: the port does, where only one name has it.
EndpointStatus resolved(const Address& address, const config::EndpointAssignment* assignment) {
  EndpointStatus out;
  size_t candidates = 0;
  if (assignment != nullptr) {
    for (const config::LocalityEndpoints& locality : assignment->localities) {
      for (const config::Endpoint& endpoint : locality.endpoints) {
        if (!endpoint.address.is_none() || endpoint.port != address.port()) continue;
        if (++candidates == 1) out = from_config(locality, endpoint);
      }
    }
  }
  if (candidates > 1) out = {};
  out.address = address;
  return out;
}

std::vector<EndpointStatus> endpoints_of(const config::Cluster& cluster, upstream::SharedCluster* shared,
                                         const config::Snapshot& snapshot) {
  SharedByAddress used;
  std::vector<Address> in_order;
  if (shared != nullptr) {
    for (auto& one : shared->endpoints()) {
      in_order.push_back(one->address);
      used.emplace(one->address, std::move(one));
    }
  }
  std::vector<EndpointStatus> out;
  const auto add = [&out, &used](EndpointStatus status) {
    if (const auto found = used.find(status.address); found != used.end()) {
      status.shared = std::move(found->second);
      used.erase(found);
    }
    out.push_back(std::move(status));
  };
  const auto assignment = assignment_of(cluster, snapshot);
  if (assignment != nullptr) {
    for (const config::LocalityEndpoints& locality : assignment->localities) {
      for (const config::Endpoint& endpoint : locality.endpoints) {
        if (!endpoint.address.is_none()) add(from_config(locality, endpoint));
      }
    }
  }
  // Elsewhere, what is left has left the cluster and only finishes its requests.
  using Type = config::Cluster::Type;
  if (cluster.type == Type::strict_dns || cluster.type == Type::logical_dns || cluster.type == Type::original_dst) {
    for (const Address& address : in_order) {
      if (used.contains(address)) add(resolved(address, assignment.get()));
    }
  }
  return out;
}

}  // namespace

std::vector<ClusterStatus> cluster_statuses(const worker::Server& server,
                                            const config::Table<config::Cluster>& static_clusters) {
  std::vector<ClusterStatus> out;
  if (server.snapshot() == nullptr) return out;
  std::map<std::string, std::shared_ptr<upstream::SharedCluster>, std::less<>> used;
  for (auto& one : server.clusters()) used.emplace(one->name(), one);
  for (const auto& [name, cluster] : server.snapshot()->clusters) {
    const auto found = used.find(name);
    ClusterStatus status;
    status.config = cluster;
    status.added_via_api = !static_clusters.contains(name);
    status.shared = found == used.end() ? nullptr : found->second;
    status.endpoints = endpoints_of(*cluster, status.shared.get(), *server.snapshot());
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace pillion::admin
