// A simulated worker: what worker/runtime is for a real one, on an executor of its own in a simulated network. Its
// sessions, exchanges, attempts, pools, clusters and codecs are the real ones.
#pragma once

#include <memory>
#include <string>

#include "proxy/downstream/session.h"
#include "proxy/worker/cluster_table.h"
#include "tests/sim/dialer.h"
#include "tests/sim/ledger.h"

namespace pillion::sim {

class Worker final : public downstream::SessionHost, private upstream::TlsContexts {
 public:
  // Listens at `http1` and `http2` for clients that speak that.
  Worker(Network& network, event::Executor& executor, worker::SharedClusters& shared,
         const config::HttpConnectionManager& manager, Ledger& ledger, const Address& http1, const Address& http2)
      : executor(executor),
        dialer(network, executor),
        network_(network),
        manager_(manager),
        ledger_(ledger),
        upstream_services_{executor, dialer, nullptr, *this},
        clusters(upstream_services_, shared),
        services_{executor, clusters, *this, network.world.registry} {
    network.listen(http1, http1_, executor);
    network.listen(http2, http2_, executor);
  }

  void publish(config::SnapshotPtr snapshot) {
    snapshot_ = snapshot;
    clusters.publish(std::move(snapshot));
  }
  void drain() {
    for (downstream::Session& session : sessions_) session.drain();
  }
  void close_sessions() {
    for (downstream::Session& session : sessions_) session.close();
  }
  bool has_sessions() { return !sessions_.empty(); }

  event::Executor& executor;
  SimDialer dialer;
  bool logs_twice = false;  // faults to plant
  bool never_congested = false;

 private:
  struct Port final : Acceptor {
    Port(Worker& worker, bool http2) : worker(worker), http2(http2) {}
    void on_accept(std::unique_ptr<LinkEnd> transport) override { worker.accept(std::move(transport), http2); }
    Worker& worker;
    const bool http2;
  };

  void accept(std::unique_ptr<LinkEnd> transport, bool http2) {
    transport->never_congested = never_congested;
    downstream::ConnectionInfo info;
    info.id = ++connections_;
    info.remote = transport->peer_address();
    info.local = transport->local_address();
    info.accepted = executor.now();
    sessions_.push_back(
        downstream::make_http_connection(services_, std::move(info), std::move(transport), manager_, http2));
  }

  void add(std::unique_ptr<downstream::Session> session) override { sessions_.push_back(std::move(session)); }
  void remove(downstream::Session& session) override { executor.retire(sessions_.take(session)); }
  std::shared_ptr<const config::RouteConfiguration> routes(const config::HttpConnectionManager& manager) override {
    const auto found = snapshot_->routes.find(manager.rds_name);
    return found == snapshot_->routes.end() ? nullptr : found->second;
  }
  Expected<std::shared_ptr<const net::ServerTlsContext>> server_tls(const config::TlsContext&) override {
    return std::unexpected(Error{Code::tls_failed, Side::local, Retry::never, 0, "there is no TLS here"});
  }
  Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext&) override {
    return std::unexpected(Error{Code::tls_failed, Side::local, Retry::never, 0, "there is no TLS here"});
  }
  void log(std::string_view, std::string&& line) override {
    network_.world.trace(0x20, std::hash<std::string_view>()(line));
    ledger_.on_log(line);
    if (logs_twice) ledger_.on_log(line);
  }

  Network& network_;
  const config::HttpConnectionManager& manager_;
  Ledger& ledger_;
  config::SnapshotPtr snapshot_;
  upstream::Services upstream_services_;

 public:
  worker::ClusterTable clusters;

 private:
  downstream::Services services_;
  Port http1_{*this, false};
  Port http2_{*this, true};
  OwningList<downstream::Session> sessions_;
  uint64_t connections_ = 0;
};

}  // namespace pillion::sim
