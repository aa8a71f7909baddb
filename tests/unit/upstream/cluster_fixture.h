// A cluster without sockets: endpoints that are only chosen, never dialed.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "proxy/upstream/cluster.h"

namespace pillion::test {

struct NoDialer final : net::Dialer {
  std::unique_ptr<net::Dial> dial(const net::DialOptions&, net::DialEvents&) override { return nullptr; }
};

struct NoTls final : upstream::TlsContexts {
  Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext&) override {
    return std::unexpected(Error{Code::tls_failed, Side::local, Retry::never, 0, "a secret has not arrived"});
  }
};

inline config::Endpoint endpoint(const std::string& address, uint32_t weight = 1,
                                 config::HealthStatus health = config::HealthStatus::unknown) {
  config::Endpoint e;
  e.address = *Address::parse(address);
  e.weight = weight;
  e.health = health;
  return e;
}

inline config::LocalityEndpoints locality(std::vector<config::Endpoint> endpoints, uint32_t priority = 0,
                                          uint32_t weight = 0, const std::string& zone = "") {
  config::LocalityEndpoints l;
  l.locality.zone = zone;
  l.priority = priority;
  l.weight = weight;
  l.endpoints = std::move(endpoints);
  return l;
}

inline std::shared_ptr<config::EndpointAssignment> assignment(std::vector<config::LocalityEndpoints> localities) {
  auto a = std::make_shared<config::EndpointAssignment>();
  a->localities = std::move(localities);
  return a;
}

struct ClusterFixture {
  explicit ClusterFixture(config::Cluster c = {}) : executor(Instant{Duration{1'000'000}}, 7, slab) {
    registry.attach(slab);
    c.name = "web";
    config = std::make_shared<config::Cluster>(std::move(c));
    shared = std::make_shared<upstream::SharedCluster>("web", registry, "web");
  }
  ~ClusterFixture() {
    cluster.reset();
    registry.detach(slab);
  }
  upstream::Cluster& start(std::shared_ptr<const config::EndpointAssignment> a) {
    cluster = std::make_unique<upstream::Cluster>(services, config, shared);
    cluster->set_assignment(std::move(a));
    return *cluster;
  }
  // How often each endpoint is picked; "!reason" where none is.
  std::map<std::string, int> shares(int picks, const upstream::PickContext& context = {}) {
    std::map<std::string, int> counts;
    for (int i = 0; i < picks; ++i) {
      const auto picked = cluster->pick(context);
      ++counts[picked ? (*picked)->address().to_string() : std::string("!") + picked.error().what];
    }
    return counts;
  }
  void advance(Duration by) {
    executor.timers.advance_to(executor.now() + by);
    executor.end_turn();
  }
  uint64_t stat(const std::string& leaf) const { return registry.value("cluster.web." + leaf); }

  StatSlab slab;
  StatRegistry registry;
  event::Executor executor;
  NoDialer dialer;
  NoTls tls;
  upstream::Services services{executor, dialer, nullptr, tls};
  std::shared_ptr<const config::Cluster> config;
  std::shared_ptr<upstream::SharedCluster> shared;
  std::unique_ptr<upstream::Cluster> cluster;
};

}  // namespace pillion::test
