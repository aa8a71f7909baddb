#include "filters/http/fault.h"

#include <doctest/doctest.h>
#include <envoy/config/listener/v3/listener.pb.h>

#include "filters/http/fault_config.h"
#include "proxy/filter/chain.h"
#include "tests/unit/xds_translate/support.h"

namespace pillion::filters {

using namespace xds::testing;

namespace {

// A listener with one fault filter, and a route table that says `per_route` of it.
auto translated(const std::string& fault, const std::string& per_route = "") {
  static const xds::FilterTable table{.http = {fault_filter()}};
  const std::string type = typed("filters.http.fault.v3.HTTPFault");
  const std::string yaml =
      "{name: l, address: {socket_address: {address: 127.0.0.1, port_value: 1}}, filter_chains: [{filters: [{name: h, "
      "typed_config: " +
      typed("filters.network.http_connection_manager.v3.HttpConnectionManager") +
      "stat_prefix: t, http_filters: [{name: f, typed_config: " + type + fault +
      "}}, {name: r, typed_config: " + typed("filters.http.router.v3.Router") +
      "}}], route_config: {virtual_hosts: [{name: v, domains: ['*']" +
      (per_route.empty() ? "" : ", typed_per_filter_config: {f: " + per_route + "}") + "}]}}}]}]}";
  return xds::translate_listener(read<envoy::config::listener::v3::Listener>(yaml), {.filters = &table});
}

const config::HttpConnectionManager& manager_of(const std::shared_ptr<const config::Listener>& listener) {
  return std::get<config::HttpConnectionManager>(listener->chains.at(0).terminal);
}

const FaultConfig& config_of(const std::shared_ptr<const config::Listener>& listener) {
  return dynamic_cast<const FaultConfig&>(*manager_of(listener).filters.at(0).config);
}

struct Host final : filter::ChainHost {
  void on_filter_resumed() override { ++resumed; }
  int resumed = 0;
};

// Requests of one worker through the filter alone.
struct Worker {
  explicit Worker(const std::string& fault, StatRegistry& registry)
      : listener(*translated(fault)), plan(manager_of(listener), registry, cache) {
    registry.attach(slab);
  }
  struct Request {
    Request(Worker& worker) {
      chain = filter::FilterChain::make(worker.plan, worker.host, worker.executor, arena, record, values, {});
      chain->receive(filter::Direction::request, {}, true, nullptr);
    }
    filter::Verdict run() { return chain->run(head); }
    bool passed() const { return chain->ended(filter::Direction::request); }
    Arena arena;
    http::RequestHead head{arena};
    filter::ExchangeRecord record;
    struct Values final : config::FormatSource {
      bool append(const config::FormatOp&, std::string&) const override { return false; }
    } values;
    std::unique_ptr<filter::FilterChain> chain;
  };
  StatSlab slab;
  event::Executor executor{Instant(Duration(1'000'000)), 1, slab};
  filter::FilterStatCache cache;
  Host host;
  std::shared_ptr<const config::Listener> listener;
  filter::ChainPlan plan;
};

}  // namespace

TEST_CASE("fault: the message becomes settings") {
  const auto listener = translated(
      "delay: {fixed_delay: 1.5s, percentage: {numerator: 5, denominator: TEN_THOUSAND}}, abort: {grpc_status: 14, "
      "percentage: {numerator: 7, denominator: MILLION}}, upstream_cluster: a, downstream_nodes: [node], "
      "max_active_faults: 3, headers: [{name: X-A, present_match: true}], disable_downstream_cluster_stats: true");
  REQUIRE_MESSAGE(listener.has_value(), error_of(listener));
  const FaultSettings& settings = config_of(*listener).settings();
  CHECK(settings.delay->fixed == Duration{1'500'000});
  CHECK(settings.delay->share.numerator == 5);
  CHECK(settings.delay->share.denominator == 10'000);
  CHECK(settings.abort->grpc_status == 14);
  CHECK(settings.abort->http_status == 0);
  CHECK(settings.abort->share.denominator == 1'000'000);
  CHECK(settings.upstream_cluster == "a");
  CHECK(settings.downstream_nodes.contains("node"));
  CHECK(settings.active_faults_max == 3);
  CHECK(settings.headers.at(0).name == "x-a");

  const auto by_header = translated("delay: {header_delay: {}}, abort: {header_abort: {}}");
  REQUIRE_MESSAGE(by_header.has_value(), error_of(by_header));
  CHECK(config_of(*by_header).settings().delay->by_header);
  CHECK(config_of(*by_header).settings().abort->by_header);
  CHECK(config_of(*by_header).settings().abort->share.numerator == 0);  // not set is never
}

TEST_CASE("fault: what has no meaning here is refused by its name") {
  const std::string filter = "filter_chains[0].filters[0].typed_config.http_filters[0].typed_config.";
  const std::pair<const char*, const char*> cases[] = {
      {"response_rate_limit: {fixed_limit: {limit_kbps: 1}}", "response_rate_limit: is not supported by Pillion"},
      {"delay_percent_runtime: x", "delay_percent_runtime: is not supported by Pillion"},
      {"abort_grpc_status_runtime: x", "abort_grpc_status_runtime: is not supported by Pillion"},
      {"filter_metadata: {a: b}", "filter_metadata: is not supported by Pillion"},
      {"abort: {http_status: 100}", "abort.http_status: "},
      {"abort: {percentage: {numerator: 1}}", "abort: one of http_status"},
      {"delay: {fixed_delay: 0s}", "delay.fixed_delay: "},
      {"headers: [{name: a, string_match: {safe_regex: {regex: '('}}}]", "headers[0].string_match.safe_regex"},
  };
  for (const auto& [fault, want] : cases) {
    CAPTURE(fault);
    const std::string error = error_of(translated(fault));
    CAPTURE(error);
    CHECK(error.starts_with(filter + want));
  }
  const std::string per_route =
      "filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].typed_per_filter_config[\"f\"]";
  CHECK(error_of(translated("", typed("filters.http.fault.v3.HTTPFault") + "max_active_faults_runtime: x}"))
            .starts_with(per_route + ".max_active_faults_runtime: is not supported"));
  CHECK(error_of(translated("", "{\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig}"))
            .starts_with(per_route + ": must have a config"));
}

TEST_CASE("fault: a route switches it off, on, or replaces it") {
  const std::string wrapper = "{\"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, ";
  const auto entry = [](const std::string& per_route) {
    const auto listener = translated("", per_route);
    REQUIRE_MESSAGE(listener.has_value(), error_of(listener));
    return manager_of(*listener).routes->virtual_hosts.at(0).per_filter.at("f");
  };
  CHECK(entry(wrapper + "disabled: true}").disabled);
  const config::RouteFilterConfig on = entry(wrapper + "config: {}}");
  CHECK_FALSE(on.disabled);
  CHECK(on.config == nullptr);
  const std::string own = typed("filters.http.fault.v3.HTTPFault") + "upstream_cluster: b}";
  CHECK(dynamic_cast<const FaultConfig&>(*entry(own).config).settings().upstream_cluster == "b");
  CHECK(dynamic_cast<const FaultConfig&>(*entry(wrapper + "config: " + own + "}").config).settings().upstream_cluster ==
        "b");
}

TEST_CASE("fault: a delay, then an abort, are one active fault, which ends with the exchange") {
  StatRegistry registry;
  Worker worker(
      "delay: {fixed_delay: 1s, percentage: {numerator: 100}}, abort: {http_status: 503, percentage: "
      "{numerator: 100}}",
      registry);
  Worker::Request request(worker);
  CHECK(request.run().kind == filter::Verdict::Kind::proceed);
  CHECK_FALSE(request.passed());
  CHECK(request.record.delay_injected);
  CHECK(registry.value("http.t.fault.active_faults") == 1);
  worker.executor.timers.advance_to(worker.executor.now() + Duration{999'000});
  CHECK(worker.host.resumed == 0);
  worker.executor.timers.advance_to(worker.executor.now() + Duration{1'000});
  CHECK(worker.host.resumed == 1);
  const filter::Verdict verdict = request.run();
  CHECK(verdict.kind == filter::Verdict::Kind::reply);
  CHECK(verdict.answer->status == 503);
  CHECK(verdict.why.code == Code::fault_injected);
  CHECK(registry.value("http.t.fault.active_faults") == 1);
  request.chain->on_complete(request.record);
  CHECK(registry.value("http.t.fault.active_faults") == 0);
  CHECK(registry.value("http.t.fault.delays_injected") == 1);
  CHECK(registry.value("http.t.fault.aborts_injected") == 1);
}

TEST_CASE("fault: the limit of active faults, and an exchange that ends during its delay") {
  StatRegistry registry;
  Worker worker("max_active_faults: 1, delay: {fixed_delay: 1s, percentage: {numerator: 100}}", registry);
  {
    Worker::Request first(worker), second(worker);
    first.run();
    second.run();
    CHECK_FALSE(first.passed());
    CHECK(second.passed());
    CHECK(registry.value("http.t.fault.faults_overflow") == 1);
    first.chain->on_complete(first.record);  // the client left
  }
  worker.executor.timers.advance_to(worker.executor.now() + Duration{2'000'000});
  CHECK(worker.host.resumed == 0);
  Worker::Request third(worker);
  third.run();
  CHECK_FALSE(third.passed());
  worker.executor.timers.advance_to(worker.executor.now() + Duration{1'000'000});
  third.run();
  CHECK(third.passed());  // a fault is over with its delay
  CHECK(registry.value("http.t.fault.active_faults") == 0);
  third.chain->on_complete(third.record);
  CHECK(registry.value("http.t.fault.active_faults") == 0);
}

TEST_CASE("fault: so many in a hundred") {
  StatRegistry registry;
  Worker worker("abort: {http_status: 503, percentage: {numerator: 25}}", registry);
  int aborted = 0;
  for (int i = 0; i < 4000; ++i) {
    Worker::Request request(worker);
    aborted += request.run().kind == filter::Verdict::Kind::reply;
    request.chain->on_complete(request.record);
  }
  CHECK(aborted > 900);
  CHECK(aborted < 1100);
}

}  // namespace pillion::filters
