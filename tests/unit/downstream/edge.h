// A client connection in memory: what the client sends goes in by hand, what it would receive is a string. No sockets;
// time moves when the test says so.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/downstream/session.h"

namespace pillion::downstream::test {

class MemoryTransport final : public net::Transport {
 public:
  // What the test looks at; outlives the transport.
  struct Wire {
    MemoryTransport* transport = nullptr;  // null once it is gone
    std::string written;
    bool shut = false, closed = false, was_reset = false;
    int pauses = 0;
  };
  explicit MemoryTransport(Wire& wire) : wire_(wire) { wire_.transport = this; }
  ~MemoryTransport() override { close(); }

  void deliver(ChunkPool& chunks, std::string_view bytes) {
    unread_.append(chunks, bytes);
    if (events_ != nullptr && wire_.pauses == 0) events_->on_bytes(unread_);
  }
  void deliver_eof() {
    if (events_ != nullptr) events_->on_eof();
  }
  void break_off() {
    if (events_ != nullptr) events_->on_closed({Code::peer_reset, Side::local, Retry::never, 104, "reading"});
  }

  void set_events(net::TransportEvents* events) override { events_ = events; }
  void write(Chain&& bytes) override {
    wire_.written += bytes.to_string();
    bytes.clear();
  }
  size_t pending_write_bytes() const override { return 0; }
  void shutdown_write() override { wire_.shut = true; }
  void close() override { leave(wire_.closed); }
  void reset() override { leave(wire_.was_reset); }
  void pause_reading() override { ++wire_.pauses; }
  void resume_reading() override { --wire_.pauses; }
  Chain take_unread() override { return std::move(unread_); }
  const Address& peer_address() const override { return peer_; }
  const Address& local_address() const override { return local_; }
  uint64_t bytes_written() const override { return wire_.written.size(); }
  bool was_unseen_since(uint64_t) const override { return false; }

 private:
  void leave(bool& how) {
    if (wire_.transport == nullptr) return;
    events_ = nullptr;
    wire_.transport = nullptr;
    how = true;
  }
  Wire& wire_;
  net::TransportEvents* events_ = nullptr;
  Chain unread_;
  Address peer_ = *Address::parse("127.0.0.1:40000");
  Address local_ = *Address::parse("127.0.0.1:15001");
};

class NoClusters final : public upstream::ClusterManager {
 public:
  upstream::Cluster* find(std::string_view) override { return nullptr; }
};

// A worker with one session at a time.
class Edge : public SessionHost {
 public:
  Edge() { registry.attach(slab); }

  void add(std::unique_ptr<Session>) override {}
  void remove(Session& session) override {
    ++removed;
    executor.retire(sessions.take(session));
  }
  std::shared_ptr<const config::RouteConfiguration> routes(const config::HttpConnectionManager&) override {
    return nullptr;
  }
  Expected<std::shared_ptr<const net::ServerTlsContext>> server_tls(const config::TlsContext&) override {
    return std::unexpected(Error{.code = Code::tls_failed});
  }
  void log(std::string_view path, std::string&& line) override { logs[std::string(path)].push_back(std::move(line)); }

  // `routes` are given to the manager, which must not change afterwards.
  void open(config::RouteConfiguration table, bool http2 = false) {
    table.build_index();
    manager.routes = std::make_shared<const config::RouteConfiguration>(std::move(table));
    manager.stat_prefix = "t";
    ConnectionInfo info;
    info.id = 7;
    info.remote = *Address::parse("127.0.0.1:40000");
    info.local = *Address::parse("127.0.0.1:15001");
    info.accepted = executor.now();
    sessions.push_back(
        make_http_connection(services, std::move(info), std::make_unique<MemoryTransport>(wire), manager, http2));
    turn();
  }
  void turn() { executor.end_turn(); }
  void send(std::string_view bytes) {
    if (wire.transport != nullptr) wire.transport->deliver(executor.chunks, bytes);
    turn();
  }
  // What was received since the last call.
  std::string received() { return std::exchange(wire.written, {}); }
  std::string ask(std::string_view bytes) {
    send(bytes);
    return received();
  }
  void pass(Duration time) {
    executor.timers.advance_to(executor.now() + time);
    turn();
  }
  uint64_t stat(const std::string& name) const { return registry.value("http.t." + name); }

  StatRegistry registry;
  StatSlab slab;
  event::Executor executor{Instant(Duration(1'000'000)), 1, slab};
  NoClusters clusters;
  Services services{executor, clusters, *this, registry};
  config::HttpConnectionManager manager;
  MemoryTransport::Wire wire;
  OwningList<Session> sessions;
  std::map<std::string, std::vector<std::string>> logs;
  int removed = 0;
};

// One virtual host for every name, with these routes by prefix.
inline config::RouteConfiguration table_of(std::vector<config::Route> routes) {
  config::RouteConfiguration table;
  config::VirtualHost host;
  host.name = "all";
  host.domains = {"*"};
  host.routes = std::move(routes);
  table.virtual_hosts.push_back(std::move(host));
  return table;
}

}  // namespace pillion::downstream::test
