// The proxy as a whole, seen from the main loop: workers, listening sockets, the configuration in force. Whoever has
// configuration (a bootstrap file, an xDS client) publishes snapshots; the admin server looks and steers.
//
//   publish(snapshot) ──► sockets opened and closed here ──► posted to each worker ──► each swaps its own pointer
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/base/stats.h"
#include "proxy/config/snapshot.h"
#include "proxy/event/loop.h"
#include "proxy/upstream/cluster.h"
#include "proxy/worker/options.h"

namespace pillion::worker {

class Server {
 public:
  virtual ~Server() = default;
  virtual event::Loop& main_loop() = 0;
  virtual StatRegistry& registry() = 0;

  // Replaces the configuration. Listeners whose hash is the same keep their sockets and connections; a changed one
  // keeps its socket while new connections use the new value; a removed one drains.
  virtual void publish(config::SnapshotPtr snapshot) = 0;
  virtual const config::SnapshotPtr& snapshot() const = 0;
  virtual std::vector<ListenerStatus> listeners() const = 0;
  // The shared halves of the clusters that were used, by name: /clusters.
  virtual std::vector<std::shared_ptr<upstream::SharedCluster>> clusters() const = 0;

  // Inbound listeners (all, without `inbound_only`) take no new connections; HTTP is told to go elsewhere.
  // Where a listener's traffic_direction is not set it counts as inbound.
  virtual void drain_listeners(bool inbound_only) = 0;
  virtual bool is_draining() const = 0;
  virtual uint64_t connections() const = 0;  // downstream, of all workers
  virtual void reopen_logs() = 0;            // access logs, after they were moved away
  virtual void quit() = 0;                   // stops the main loop; run() of the loop returns
};

std::unique_ptr<Server> make_server(event::Loop& main_loop, StatRegistry& registry, const ServerOptions& options);

}  // namespace pillion::worker
