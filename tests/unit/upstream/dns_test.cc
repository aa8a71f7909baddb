#include "proxy/upstream/dns.h"

#include <doctest/doctest.h>

#include <map>

#include "tests/unit/upstream/cluster_fixture.h"

using namespace pillion;
using namespace pillion::test;
using Type = config::Cluster::Type;

namespace {

// A table of names; each answer comes 1 ms after the question.
class TableResolver final : public net::Resolver {
 public:
  struct Entry {
    std::vector<std::string> addresses;
    Duration ttl{};
    bool fails = false;
  };
  explicit TableResolver(event::Executor& executor) : executor_(executor) {}
  std::unique_ptr<net::Resolution> resolve(const std::string& name, net::DnsFamily,
                                           net::ResolveEvents& events) override {
    ++asked;
    return std::make_unique<Pending>(*this, name, events);
  }
  std::map<std::string, Entry> names;
  int asked = 0;

 private:
  struct Pending final : net::Resolution {
    Pending(TableResolver& r, std::string n, net::ResolveEvents& e) : resolver(r), name(std::move(n)), events(e) {
      timer.start_after(resolver.executor_.timers, Duration{1'000});
    }
    void on_due() {
      const Entry& entry = resolver.names[name];
      if (entry.fails) {
        events.on_resolve_failed({Code::connect_timeout, Side::upstream, Retry::safe, 0, "asking"});
        return;
      }
      net::ResolveResult result;
      for (const std::string& a : entry.addresses) result.addresses.push_back(*Address::parse_ip(a, 0));
      result.ttl = entry.ttl;
      events.on_resolved(result);
    }
    TableResolver& resolver;
    std::string name;
    net::ResolveEvents& events;
    event::Timer timer{event::Timer::bind<&Pending::on_due>(this)};
  };
  event::Executor& executor_;
};

struct DnsFixture : ClusterFixture {
  explicit DnsFixture(config::Cluster c) : ClusterFixture(with_name(std::move(c))), resolver(executor) {
    services.resolver = &resolver;
  }
  ~DnsFixture() { cluster.reset(); }
  static config::Cluster with_name(config::Cluster c) {
    config::Endpoint e;
    e.hostname = "web.test";
    e.port = 80;
    c.inline_endpoints = assignment({locality({e})});
    return c;
  }
  void start() { cluster = std::make_unique<upstream::Cluster>(services, config, shared); }
  TableResolver resolver;
};

struct Waiting final : upstream::AssignmentWaiter {
  void on_assignment() override { ++told; }
  int told = 0;
};

config::Cluster of(Type type) {
  config::Cluster c;
  c.type = type;
  return c;
}

}  // namespace

TEST_CASE("dns: a cluster waits for its first answer, good or bad, and tells who waits") {
  for (const bool fails : {false, true}) {
    CAPTURE(fails);
    DnsFixture f(of(Type::strict_dns));
    f.resolver.names["web.test"] = {.addresses = {"10.0.0.1", "10.0.0.2"}, .fails = fails};
    f.start();
    CHECK(f.cluster->must_wait());
    Waiting waiting, gone;
    f.cluster->wait(waiting);
    f.cluster->wait(gone);
    gone.unlink();
    f.advance(Duration{1'000});
    CHECK(!f.cluster->must_wait());
    CHECK(waiting.told == 1);
    CHECK(gone.told == 0);
    CHECK(f.shares(100).size() == (fails ? 1 : 2));
    CHECK(f.stat("update_failure") == (fails ? 1 : 0));
  }
}

TEST_CASE("dns: strict DNS uses all addresses, follows changes, and keeps what it has when an answer fails") {
  DnsFixture f(of(Type::strict_dns));
  auto& entry = f.resolver.names["web.test"];
  entry.addresses = {"10.0.0.1", "10.0.0.2"};
  f.start();
  f.advance(Duration{1'000});
  CHECK(f.shares(100) == std::map<std::string, int>{{"10.0.0.1:80", 50}, {"10.0.0.2:80", 50}});
  const upstream::Endpoint* const kept = f.cluster->endpoints()[1].get();
  entry.addresses = {"10.0.0.3", "10.0.0.2"};
  f.advance(f.config->dns_refresh);
  f.advance(Duration{1'000});
  CHECK(f.shares(100) == std::map<std::string, int>{{"10.0.0.2:80", 50}, {"10.0.0.3:80", 50}});
  CHECK(f.cluster->endpoints()[1].get() == kept);
  entry.fails = true;
  f.advance(f.config->dns_refresh);
  f.advance(Duration{1'000});
  CHECK(f.shares(100).size() == 2);
  CHECK(f.stat("update_failure") == 1);
  entry = {};  // the name has no addresses any more: that is an answer
  f.advance(f.config->dns_refresh);
  f.advance(Duration{1'000});
  CHECK(f.shares(1) == std::map<std::string, int>{{"!the cluster has no endpoints", 1}});
}

TEST_CASE("dns: logical DNS uses one address, and stays with it while answers hold it") {
  DnsFixture f(of(Type::logical_dns));
  auto& entry = f.resolver.names["web.test"];
  entry.addresses = {"10.0.0.1", "10.0.0.2"};
  f.start();
  f.advance(Duration{1'000});
  CHECK(f.shares(10) == std::map<std::string, int>{{"10.0.0.1:80", 10}});
  entry.addresses = {"10.0.0.2", "10.0.0.1"};
  f.advance(f.config->dns_refresh);
  f.advance(Duration{1'000});
  CHECK(f.shares(10) == std::map<std::string, int>{{"10.0.0.1:80", 10}});
  entry.addresses = {"10.0.0.2"};
  f.advance(f.config->dns_refresh);
  f.advance(Duration{1'000});
  CHECK(f.shares(10) == std::map<std::string, int>{{"10.0.0.2:80", 10}});
}

TEST_CASE("dns: asks again after dns_refresh_rate, or after the TTL where it is respected") {
  for (const bool ttl : {false, true}) {
    CAPTURE(ttl);
    config::Cluster c = of(Type::strict_dns);
    c.respect_dns_ttl = ttl;
    DnsFixture f(c);
    f.resolver.names["web.test"] = {.addresses = {"10.0.0.1"}, .ttl = Duration{60'000'000}};
    f.start();
    f.advance(Duration{1'000});
    CHECK(f.resolver.asked == 1);
    f.advance(f.config->dns_refresh);
    CHECK(f.resolver.asked == (ttl ? 1 : 2));
    if (!ttl) continue;
    f.advance(Duration{60'000'000});
    CHECK(f.resolver.asked == 2);
  }
}
