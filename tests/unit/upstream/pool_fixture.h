// A cluster in a simulated network: real pools and codecs, virtual time, origins that do as they are told.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/upstream/cluster.h"
#include "tests/sim/dialer.h"
#include "tests/sim/origin.h"
#include "tests/sim/world.h"
#include "tests/unit/upstream/cluster_fixture.h"

namespace pillion::test {

// Contexts that are never looked into: what a handshake agrees on is the simulated host's to say.
struct SomeTls final : upstream::TlsContexts {
  Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext&) override { return nullptr; }
};

struct PoolFixture {
  explicit PoolFixture(config::Cluster c = {}, std::vector<std::string> addresses = {"10.0.0.1:80"},
                       bool http2_origins = false)
      : http2(http2_origins) {
    c.name = "web";
    config = std::make_shared<config::Cluster>(std::move(c));
    shared = std::make_shared<upstream::SharedCluster>("web", world.registry, "web");
    std::vector<config::Endpoint> endpoints;
    for (const std::string& a : addresses) {
      endpoints.push_back(endpoint(a));
      origins.push_back(std::make_unique<sim::Origin>(network, server, *Address::parse(a), http2));
    }
    cluster = std::make_unique<upstream::Cluster>(services, config, shared);
    cluster->set_assignment(assignment({locality(std::move(endpoints))}));
  }
  ~PoolFixture() {
    cluster.reset();
    origins.clear();
    world.run_for(Duration{1'000'000});
  }

  upstream::Pool& pool(config::Cluster::Protocol protocol = config::Cluster::Protocol::http1) {
    return **cluster->endpoints()[0]->http_pool(protocol);
  }
  uint64_t stat(const std::string& leaf) const { return world.stat("cluster.web." + leaf); }
  template <class Done>
  bool run_until(Done done, Duration limit = Duration{10'000'000}) {
    return world.run_until(done, limit);
  }

  sim::World world{7};
  event::Executor& client = world.add_node();
  event::Executor& server = world.add_node();
  sim::Network network{world};
  sim::SimDialer dialer{network, client};
  SomeTls tls;
  upstream::Services services{client, dialer, nullptr, tls};
  bool http2;
  std::shared_ptr<const config::Cluster> config;
  std::shared_ptr<upstream::SharedCluster> shared;
  std::vector<std::unique_ptr<sim::Origin>> origins;
  std::unique_ptr<upstream::Cluster> cluster;
};

// One GET through a pool; lets go of its stream as soon as it has ended.
class Get final : public upstream::Waiter, public http::ClientStreamEvents {
 public:
  Get(upstream::Pool& pool, uint32_t priority = 0) : head_(arena_) {
    head_.method = "GET";
    head_.scheme = "http";
    head_.authority = "web";
    head_.path = "/";
    const Expected<upstream::Connection*> got = pool.acquire(*this, priority);
    if (!got) {
      failure = got.error();
    } else if (*got != nullptr) {
      on_connection(**got);
    }
  }
  ~Get() {
    if (stream_ != nullptr) connection->reset(*stream_, Code::downstream_gone);
  }

  upstream::Connection* connection = nullptr;  // may be gone once done()
  bool reused = false;
  uint16_t status = 0;
  size_t body = 0;
  std::optional<Error> failure;
  Instant finished{};
  bool done() const { return ended_ || failure.has_value(); }
  bool ok() const { return ended_ && status == 200; }
  bool is_running() const { return stream_ != nullptr; }

 private:
  void on_connection(upstream::Connection& c) override {
    connection = &c;
    stream_ = &c.start(*this);
    reused = c.is_reused();
    stream_->send_head(head_, true);
    c.touch();
  }
  void on_pool_failure(const Error& why) override { failure = why; }
  Arena& arena() override { return arena_; }
  void on_informational(http::ResponseHead&&) override {}
  void on_response_head(http::ResponseHead&& head, bool end) override {
    status = head.status;
    if (end) finish();
  }
  void on_body(Chain&& data, bool end) override {
    body += data.size();
    data.clear();
    if (end) finish();
  }
  void on_trailers(http::HeaderMap&&) override { finish(); }
  void on_reset(const Error& why) override {
    failure = why;
    connection->detach(*std::exchange(stream_, nullptr));
  }
  void on_drained() override {}
  void finish() {
    ended_ = true;
    connection->detach(*std::exchange(stream_, nullptr));
  }

  Arena arena_;
  http::RequestHead head_;
  http::ClientStream* stream_ = nullptr;
  bool ended_ = false;
};

}  // namespace pillion::test
