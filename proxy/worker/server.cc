#include "proxy/worker/server.h"

#include <algorithm>

#include "proxy/downstream/intake.h"
#include "proxy/worker/sockets.h"
#include "proxy/worker/worker.h"

namespace pillion::worker {
namespace {

class ServerImpl final : public Server, private SocketEvents {
 public:
  ServerImpl(event::Loop& main_loop, StatRegistry& registry, const ServerOptions& options)
      : main_loop_(main_loop),
        registry_(registry),
        shared_clusters_(registry),
        shared_{registry, shared_clusters_, logs_, main_loop, options.drain_time},
        snapshot_(std::make_shared<config::Snapshot>()),
        sockets_(main_loop, options, *this) {
    for (uint32_t i = 0; i < std::clamp(options.concurrency, 1u, kWorkersMax); ++i) {
      workers_.push_back(std::make_unique<Worker>(i, options.seed + i, shared_));
    }
    for (const auto& worker : workers_) worker->start();
  }

  event::Loop& main_loop() override { return main_loop_; }
  StatRegistry& registry() override { return registry_; }

  void publish(config::SnapshotPtr snapshot) override {
    const bool serves_already = !snapshot_->listeners.empty();
    snapshot_ = std::move(snapshot);
    for (const auto& [name, listener] : snapshot_->listeners) open_logs(*listener);
    // Who finds the first listeners open finds their logs too. Later a slow disk must not keep this thread.
    if (!serves_already) logs_.flush();
    // The workers first: what a new socket accepts comes behind the configuration in their mailboxes.
    for (const auto& worker : workers_) worker->publish(snapshot_);
    sockets_.publish(snapshot_->listeners);
  }
  const config::SnapshotPtr& snapshot() const override { return snapshot_; }
  std::vector<ListenerStatus> listeners() const override { return sockets_.status(snapshot_->listeners); }
  std::vector<std::shared_ptr<upstream::SharedCluster>> clusters() const override { return shared_clusters_.all(); }

  void drain_listeners(bool inbound_only) override {
    draining_ = true;
    sockets_.drain(inbound_only);
    for (const auto& worker : workers_) worker->drain_listeners(inbound_only);
  }
  bool is_draining() const override { return draining_; }
  uint64_t connections() const override {
    uint64_t sum = 0;
    for (const auto& worker : workers_) sum += worker->connections();
    return sum;
  }
  void reopen_logs() override { logs_.reopen(); }
  void quit() override { main_loop_.stop(); }

 private:
  static constexpr uint32_t kWorkersMax = 128;
  static constexpr uint32_t kArrivingMax = 8;  // of one worker: about as many as it takes over in one turn

  // Files are there before the first line, and one that cannot be opened is told at once: an empty line opens it.
  void open_logs(const config::FilterChain& chain) {
    const auto* manager = std::get_if<config::HttpConnectionManager>(&chain.terminal);
    const auto* proxy = std::get_if<config::TcpProxy>(&chain.terminal);
    for (const config::AccessLog& log : manager != nullptr ? manager->access_logs : proxy->access_logs) {
      log_opener_.push(log.path, "");
    }
  }
  void open_logs(const config::Listener& listener) {
    for (const config::FilterChain& chain : listener.chains) open_logs(chain);
    if (listener.default_chain) open_logs(*listener.default_chain);
  }

  void on_accepted(int fd, const std::shared_ptr<const config::Listener>& listener) override {
    const auto fewest = std::min_element(workers_.begin(), workers_.end(), [](const auto& a, const auto& b) {
      return a->connections() < b->connections();
    });
    (*fewest)->accept(fd, listener);
  }

  // Who connects faster than is served waits in the backlog, where that costs the clients who are connected nothing.
  bool is_busy() const override {
    return std::ranges::any_of(workers_, [](const auto& worker) { return worker->arriving() >= kArrivingMax; });
  }

  void on_turned_away(const config::Listener* listener) override {
    const StatName name =
        listener != nullptr
            ? downstream::listener_scope(*listener).name("downstream_cx_no_descriptors")
            : StatName{"listener_manager.held_connections_overflow", "listener_manager.held_connections_overflow", {}};
    main_loop_.executor().stats.add(registry_.counter(name));
  }

  event::Loop& main_loop_;
  StatRegistry& registry_;
  SharedClusters shared_clusters_;
  LogWriter logs_;
  LogQueue log_opener_{logs_};
  Shared shared_;
  std::vector<std::unique_ptr<Worker>> workers_;
  config::SnapshotPtr snapshot_;
  Sockets sockets_;
  bool draining_ = false;
};

}  // namespace

std::unique_ptr<Server> make_server(event::Loop& main_loop, StatRegistry& registry, const ServerOptions& options) {
  return std::make_unique<ServerImpl>(main_loop, registry, options);
}

}  // namespace pillion::worker
