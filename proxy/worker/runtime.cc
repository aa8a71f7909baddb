#include "proxy/worker/runtime.h"

#include <utility>

#include "proxy/base/log.h"
#include "proxy/downstream/intake.h"
#include "proxy/net/original_dst.h"
#include "proxy/net/tcp.h"

namespace pillion::worker {
namespace {

std::atomic<uint64_t> next_connection_id{1};

// Back to the main loop, so that the last reference to a large table does not die on a worker.
struct Returned final : event::Message {
  explicit Returned(config::SnapshotPtr s) : snapshot(std::move(s)) {}
  void run() override { snapshot.reset(); }
  config::SnapshotPtr snapshot;
};

}  // namespace

Runtime::Runtime(event::Loop& loop, const Shared& shared, std::unique_ptr<net::Resolver> resolver,
                 std::atomic<uint64_t>& connections)
    : loop_(loop),
      shared_(shared),
      connections_(connections),
      dialer_(loop),
      resolver_(std::move(resolver)),
      upstream_services_{loop.executor(), dialer_, resolver_.get(), tls_},
      clusters_(upstream_services_, shared_.clusters),
      services_{loop.executor(), clusters_, *this, shared_.registry},
      log_queue_(shared_.logs),
      log_lines_dropped_(
          shared_.registry.counter({"pillion.access_log_lines_dropped", "pillion.access_log_lines_dropped", {}})),
      looped_(shared_.registry.counter({"pillion.looped_connections", "pillion.looped_connections", {}})) {}

Runtime::~Runtime() {
  close_all();
  loop_.executor().end_turn();
  clusters_.clear();
}

// === configuration ===

void Runtime::publish(config::SnapshotPtr snapshot) {
  config::SnapshotPtr old = std::exchange(snapshot_, std::move(snapshot));
  tls_.publish(snapshot_);
  clusters_.publish(snapshot_);
  if (old == nullptr || old->listeners != snapshot_->listeners) {
    index_.build(snapshot_->listeners);
    drain_stale();
    forget_stats();
  }
  if (old != nullptr) shared_.main_loop.post(std::make_unique<Returned>(std::move(old)));
}

// Connections of listeners that changed or left are told to end; those of a listener that left get the drain time.
void Runtime::drain_stale() {
  bool any_removed = false;
  for (downstream::Session& session : sessions_) {
    const auto& listener = session.info().listener;
    if (listener == nullptr) continue;
    const config::Listener* now = config::find(snapshot_->listeners, listener->name);
    if (now != nullptr && now->hash == listener->hash) continue;
    any_removed = any_removed || now == nullptr;
    session.drain();
  }
  if (any_removed) removed_timer_.start_after(loop_.executor().timers, shared_.drain_time);
}

void Runtime::close_removed() {
  for (downstream::Session& session : sessions_) {
    const auto& listener = session.info().listener;
    if (listener != nullptr && config::find(snapshot_->listeners, listener->name) == nullptr) session.close();
  }
}

// === connections ===

void Runtime::accept(int fd, std::shared_ptr<const config::Listener> listener) {
  std::optional<Address> original;
  if (listener->original_dst || listener->use_original_dst) original = net::original_destination(fd);
  Expected<std::unique_ptr<net::TcpTransport>> transport = net::adopt_socket(loop_, fd);
  if (!transport) {
    PILLION_LOG_LIMITED(warning, loop_.now(), "listener {}: a connection is dropped: {}", listener->name,
                        to_string(transport.error()));
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  downstream::ConnectionInfo info;
  info.id = next_connection_id.fetch_add(1, std::memory_order_relaxed);
  info.remote = (*transport)->peer_address();
  info.restored_destination = original.has_value() || listener->transparent;
  info.local = original ? *original : (*transport)->local_address();
  info.accepted = loop_.now();
  if (original && *original == (*transport)->local_address()) {
    // Somebody, perhaps we, asked for the capture port itself: to dial its destination would be to dial ourselves.
    loop_.executor().stats.add(looped_);
    PILLION_LOG_LIMITED(warning, loop_.now(), "listener {}: a connection from {} to the capture port itself is closed",
                        listener->name, info.remote.to_string());
    (*transport)->reset();
    connections_.fetch_sub(1, std::memory_order_relaxed);
    return;
  }
  info.listener = std::move(listener);
  if (info.listener->use_original_dst && info.restored_destination) {
    if (std::shared_ptr<const config::Listener> found = index_.find(info.local)) info.listener = std::move(found);
  }
  const ListenerStats& stats = stats_of(info.listener);
  loop_.executor().stats.add(stats.cx_total);
  loop_.executor().stats.add(stats.cx_active);
  sessions_.push_back(downstream::make_intake(services_, std::move(info), std::move(*transport)));
}

void Runtime::add(std::unique_ptr<downstream::Session> session) {
  connections_.fetch_add(1, std::memory_order_relaxed);
  sessions_.push_back(std::move(session));
}

void Runtime::remove(downstream::Session& session) {
  connections_.fetch_sub(1, std::memory_order_relaxed);
  // An intake whose place was taken has given its listener away with the rest: the connection goes on.
  if (const auto& listener = session.info().listener; listener != nullptr) {
    const ListenerStats& stats = stats_of(listener);
    StatSlab& slab = loop_.executor().stats;
    slab.sub(stats.cx_active);
    slab.add(stats.cx_destroy);
    slab.record(stats.cx_length_ms, static_cast<uint64_t>(to_ms(loop_.now() - session.info().accepted)));
  }
  loop_.executor().retire(sessions_.take(session));
}

const Runtime::ListenerStats& Runtime::stats_of(const std::shared_ptr<const config::Listener>& listener) {
  const auto found = listener_stats_.find(listener.get());
  if (found != listener_stats_.end()) return found->second;
  const StatScope scope = downstream::listener_scope(*listener);
  StatRegistry& registry = shared_.registry;
  return listener_stats_
      .emplace(listener.get(), ListenerStats{listener, registry.counter(scope.name("downstream_cx_total")),
                                             registry.gauge(scope.name("downstream_cx_active")),
                                             registry.counter(scope.name("downstream_cx_destroy")),
                                             registry.histogram(scope.name("downstream_cx_length_ms"))})
      .first->second;
}

// Those that only this table still knows.
void Runtime::forget_stats() {
  std::erase_if(listener_stats_, [](const auto& entry) { return entry.second.listener.use_count() == 1; });
}

// === what sessions ask for ===

std::shared_ptr<const config::RouteConfiguration> Runtime::routes(const config::HttpConnectionManager& manager) {
  if (manager.routes != nullptr) return manager.routes;
  if (snapshot_ == nullptr) return nullptr;
  const auto found = snapshot_->routes.find(manager.rds_name);
  return found == snapshot_->routes.end() ? nullptr : found->second;
}

Expected<std::shared_ptr<const net::ServerTlsContext>> Runtime::server_tls(const config::TlsContext& tls) {
  return tls_.server(tls);
}

void Runtime::log(std::string_view path, std::string&& line) {
  if (!log_queue_.push(path, line)) loop_.executor().stats.add(log_lines_dropped_);
}

// === the end ===

void Runtime::drain_listeners(bool inbound_only) {
  for (downstream::Session& session : sessions_) {
    const auto& listener = session.info().listener;
    if (inbound_only && listener != nullptr && listener->direction == config::Listener::Direction::outbound) continue;
    session.drain();
  }
}

void Runtime::close_all() {
  for (downstream::Session& session : sessions_) session.close();
}

}  // namespace pillion::worker
