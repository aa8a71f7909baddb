// What chooses: routes, endpoints, and who is next to time out.
#include <deque>
#include <memory>
#include <string>

#include "perf/micro/part.h"
#include "proxy/base/check.h"
#include "proxy/event/timer_queue.h"
#include "proxy/route/router.h"
#include "proxy/upstream/lb.h"

namespace pillion::micro {
namespace {

constexpr int kVirtualHosts = 100, kRoutes = 20, kHosts = 10;
constexpr size_t kTimers = 1000;

std::shared_ptr<config::RouteConfiguration> make_routes() {
  auto routes = std::make_shared<config::RouteConfiguration>();
  for (int h = 0; h < kVirtualHosts; ++h) {
    config::VirtualHost host;
    host.name = "service-" + std::to_string(h);
    host.domains = {host.name + ".shop", host.name + ".shop.svc.cluster.local"};
    for (int r = 0; r < kRoutes; ++r) {
      config::Route route;
      route.name = std::to_string(r);
      route.match.path.kind = config::PathMatcher::Kind::prefix;
      route.match.path.text = "/api/v" + std::to_string(r) + "/";
      host.routes.push_back(std::move(route));
    }
    routes->virtual_hosts.push_back(std::move(host));
  }
  routes->build_index();
  return routes;
}

// Timers as connections use them: each request moves the idle deadline, and sets and drops one of its own. There is a
// request every 10 ms, and each connection has one in ten seconds.
struct Clock {
  void on_timeout() { ++fired; }
  size_t fired = 0;
};

}  // namespace

void add_router(Parts& parts) {
  const auto routes = make_routes();
  parts.push_back(make_part("router", [routes](size_t times) {
    Random random(1);
    Arena arena;
    http::RequestHead head(arena);
    head.method = "GET";
    head.scheme = "http";
    head.authority = "service-77.shop.svc.cluster.local";
    head.path = "/api/v19/items?page=3";
    for (size_t n = 0; n < times; ++n) {
      const route::RouteMatch found = route::match(*routes, head, random);
      PILLION_CHECK(found.route != nullptr);
      keep(found.route);
    }
  }));
}

void add_balancers(Parts& parts) {
  using Lb = config::Cluster::Lb;
  const auto shared = std::make_shared<std::deque<upstream::SharedEndpoint>>();
  for (int i = 0; i < kHosts; ++i) shared->emplace_back(Address());
  for (const auto& [name, policy] : {std::pair("round robin", Lb::round_robin), {"least request", Lb::least_request}}) {
    config::Cluster config;
    config.lb = policy;
    Random seed(1);
    std::vector<upstream::LbHost> hosts;
    for (int i = 0; i < kHosts; ++i)
      hosts.push_back({.weight = policy == Lb::round_robin && i < 2 ? 3u : 1u, .shared = &(*shared)[i]});
    const std::shared_ptr<upstream::Picker> picker = upstream::make_picker(config, std::move(hosts), seed);
    parts.push_back(make_part(std::string("balancer, ") + name, [picker, shared](size_t times) {
      Random random(7);
      for (size_t n = 0; n < times; ++n) keep(picker->pick(random));
    }));
  }
}

void add_timer_queue(Parts& parts) {
  parts.push_back(make_part("timer queue", [](size_t times) {
    using event::Timer;
    static Clock clock;
    static size_t asked = 0;
    static event::TimerQueue queue{Instant{}};
    static std::deque<Timer> idle, request;
    while (idle.size() < kTimers) {
      idle.emplace_back(&clock, [](void* c) { static_cast<Clock*>(c)->on_timeout(); });
      request.emplace_back(&clock, [](void* c) { static_cast<Clock*>(c)->on_timeout(); });
    }
    for (size_t n = 0; n < times; ++n) {
      const size_t i = asked++ * 7919 % kTimers;
      request[i].start_after(queue, Duration(15'000'000));
      idle[i].start_after(queue, Duration(60'000'000));
      request[i].stop();
      queue.advance_to(queue.now() + Duration(10'000));
    }
    keep(clock.fired);
  }));
}

}  // namespace pillion::micro
