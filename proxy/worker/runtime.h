// Everything of a worker that its connections use: clusters, TLS contexts, the sessions themselves. Lives on the
// worker's loop and is told what changes by messages of the main loop.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "proxy/base/list.h"
#include "proxy/config/snapshot.h"
#include "proxy/downstream/session.h"
#include "proxy/event/loop.h"
#include "proxy/net/resolver.h"
#include "proxy/net/tcp_dialer.h"
#include "proxy/worker/cluster_table.h"
#include "proxy/worker/listener_index.h"
#include "proxy/worker/log_writer.h"
#include "proxy/worker/tls_contexts.h"

namespace pillion::worker {

// What the process's workers share; outlives them.
struct Shared {
  StatRegistry& registry;
  SharedClusters& clusters;
  LogWriter& logs;
  event::Loop& main_loop;
  Duration drain_time;
};

class Runtime final : public downstream::SessionHost {
 public:
  // `connections` is what the main loop looks at to choose a worker: it adds one for each socket that it hands over.
  Runtime(event::Loop& loop, const Shared& shared, std::unique_ptr<net::Resolver> resolver,
          std::atomic<uint64_t>& connections);
  ~Runtime();

  void publish(config::SnapshotPtr snapshot);
  // Takes over a socket that `listener` accepted.
  void accept(int fd, std::shared_ptr<const config::Listener> listener);
  void drain_listeners(bool inbound_only);
  void close_all();  // now

 private:
  // Ids of listener.<address>.*, allocated with the first connection.
  struct ListenerStats {
    std::shared_ptr<const config::Listener> listener;
    StatId cx_total, cx_active, cx_destroy, cx_length_ms;
  };

  void add(std::unique_ptr<downstream::Session> session) override;
  void remove(downstream::Session& session) override;
  std::shared_ptr<const config::RouteConfiguration> routes(const config::HttpConnectionManager& manager) override;
  Expected<std::shared_ptr<const net::ServerTlsContext>> server_tls(const config::TlsContext& tls) override;
  void log(std::string_view path, std::string&& line) override;

  const ListenerStats& stats_of(const std::shared_ptr<const config::Listener>& listener);
  void drain_stale();
  void close_removed();
  void forget_stats();

  event::Loop& loop_;
  Shared shared_;
  std::atomic<uint64_t>& connections_;
  net::TcpDialer dialer_;
  std::unique_ptr<net::Resolver> resolver_;
  TlsContextCache tls_;
  upstream::Services upstream_services_;
  ClusterTable clusters_;
  downstream::Services services_;
  config::SnapshotPtr snapshot_;
  ListenerIndex index_;
  OwningList<downstream::Session> sessions_;
  std::unordered_map<const config::Listener*, ListenerStats> listener_stats_;
  LogQueue log_queue_;
  StatId log_lines_dropped_;
  StatId looped_;
  event::Timer removed_timer_{event::Timer::bind<&Runtime::close_removed>(this)};
};

}  // namespace pillion::worker
