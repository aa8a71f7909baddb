// The whole configuration of the proxy at one instant: a table of shared immutable parts. An update makes a new table
// that shares what did not change. Workers hold one and swap it between events.
#pragma once

#include <memory>
#include <string_view>

#include "proxy/base/tls_material.h"
#include "proxy/config/cluster.h"
#include "proxy/config/listener.h"
#include "proxy/config/route.h"
#include "proxy/config/table.h"

namespace pillion::config {

struct Snapshot {
  uint64_t sequence = 0;
  Table<Listener> listeners;
  Table<RouteConfiguration> routes;  // RDS, by name
  Table<Cluster> clusters;
  Table<EndpointAssignment> endpoints;  // EDS, by EDS name
  Table<TlsMaterial> secrets;           // SDS and the own identity, by SecretRef::key()
};
using SnapshotPtr = std::shared_ptr<const Snapshot>;

template <class T>
const T* find(const Table<T>& table, std::string_view name) {
  const auto it = table.find(name);
  return it == table.end() ? nullptr : it->second.get();
}

}  // namespace pillion::config
