// The proxy as the admin server sees it, with values that a test sets.
#pragma once

#include "proxy/admin/server.h"
#include "tests/unit/rpc/outside.h"

namespace pillion::admin::test {

struct FakeServer final : worker::Server {
  explicit FakeServer(event::Loop& loop) : loop(loop) {}
  event::Loop& main_loop() override { return loop; }
  StatRegistry& registry() override { return stats; }
  void publish(config::SnapshotPtr s) override { current = std::move(s); }
  const config::SnapshotPtr& snapshot() const override { return current; }
  std::vector<worker::ListenerStatus> listeners() const override { return statuses; }
  std::vector<std::shared_ptr<upstream::SharedCluster>> clusters() const override { return shared; }
  void drain_listeners(bool inbound_only) override { drained = inbound_only ? "inbound" : "all"; }
  bool is_draining() const override { return draining; }
  uint64_t connections() const override { return 7; }
  void reopen_logs() override { ++reopens; }
  void quit() override { ++quits; }

  event::Loop& loop;
  StatRegistry stats;
  config::SnapshotPtr current;
  std::vector<worker::ListenerStatus> statuses;
  std::vector<std::shared_ptr<upstream::SharedCluster>> shared;
  std::string drained;
  bool draining = false;
  int reopens = 0;
  int quits = 0;
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

struct Asking : rpc::test::World {
  Asking() : server(loop) {
    server.stats.attach(slab);
    server.publish(std::make_shared<config::Snapshot>());
    options.listen = {*Address::parse_ip("127.0.0.1", 0)};
  }
  ~Asking() { server.stats.detach(slab); }
  void open(std::vector<std::unique_ptr<Page>> more_pages = {}) {
    auto made = make_admin_server(server, options, std::move(more_pages));
    REQUIRE(made.has_value());
    admin = std::move(*made);
  }
  Answer ask(std::string_view path, std::string_view method = "GET", size_t which = 0) {
    if (admin == nullptr) open();
    rpc::test::Socket client(admin->addresses().at(which));
    client.say(fmt::format("{} {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", method, path));
    CHECK(run_until([&] { return client.ended(); }));
    const std::string& heard = client.heard();
    const size_t end = heard.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    return {std::stoi(heard.substr(9, 3)), heard.substr(0, end), heard.substr(end + 4)};
  }
  FakeServer server;
  StatSlab slab;
  AdminOptions options;
  std::unique_ptr<AdminServer> admin;
};

}  // namespace pillion::admin::test
