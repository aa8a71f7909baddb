#include <doctest/doctest.h>

#include "proxy/admin/json.h"
#include "proxy/admin/stats_format.h"
#include "tests/unit/admin/fake_server.h"

using namespace pillion;
using namespace pillion::admin;
using namespace pillion::admin::test;

namespace {

struct Counting : Asking {
  Counting() {
    const StatScope web("cluster", "envoy_cluster_name", "web");
    const StatScope quoted("cluster", "envoy_cluster_name", "we\"b\\1");
    StatRegistry& r = server.stats;
    slab.add(r.counter(web.name("upstream_rq_total")), 5);
    slab.add(r.counter(quoted.name("upstream_rq_total")), 1);
    slab.add(r.counter(web.name("upstream_rq_2xx")), 4);
    slab.add(r.counter(web.name("upstream_rq_503")), 1);
    r.counter(web.name("upstream_rq_retry"));
    r.gauge(web.name("upstream_cx_active"));
    const StatId time = r.histogram(web.name("upstream_rq_time"));
    for (const uint64_t ms : {1, 2, 2, 3, 100}) slab.record(time, ms);
    r.histogram(web.name("upstream_rq_other_time"));
  }
};

}  // namespace

TEST_CASE("stats: text, its filter and usedonly") {
  Counting c;
  const std::string all = c.ask("/stats").body;
  for (const char* line : {"cluster.web.upstream_rq_total: 5\n", "cluster.web.upstream_rq_retry: 0\n",
                           "server.live: 1\n", "server.state: 0\n", "server.total_connections: 7\n",
                           "cluster.web.upstream_rq_other_time: No recorded values\n"}) {
    CAPTURE(line);
    CHECK(all.find(line) != std::string::npos);
  }
  CHECK(c.ask("/stats?filter=%5Ecluster.web.upstream_rq_2xx%24").body == "cluster.web.upstream_rq_2xx: 4\n");
  CHECK(c.ask("/stats?filter=_2xx|rq_total&usedonly").body ==
        "cluster.we\"b\\1.upstream_rq_total: 1\ncluster.web.upstream_rq_2xx: 4\ncluster.web.upstream_rq_total: 5\n");
  const std::string used = c.ask("/stats?usedonly").body;
  CHECK(used.find("upstream_rq_retry") == std::string::npos);
  CHECK(used.find("other_time") == std::string::npos);
  CHECK(used.find("cluster.web.upstream_cx_active: 0\n") != std::string::npos);
  CHECK(used.find("server.state: 0\n") != std::string::npos);
  CHECK(c.ask("/stats?filter=%5B").status == 400);
  CHECK(c.ask("/stats?filter=a)(b").status == 400);
  CHECK(c.ask("/stats?format=foo").status == 400);
}

TEST_CASE("stats: JSON") {
  Counting c;
  CHECK(c.ask("/stats?format=json&filter=web.upstream_rq_total").body ==
        R"({"stats":[{"name":"cluster.web.upstream_rq_total","value":5}]})");
  const std::string histogram = c.ask("/stats?format=json&filter=upstream_rq_time").body;
  CHECK(histogram.starts_with(R"({"stats":[{"histograms":{"supported_quantiles":[0,25,50,75,90,95,99,99.5,99.9,100],)"
                              R"("computed_quantiles":[{"name":"cluster.web.upstream_rq_time","values":[)"
                              R"({"cumulative":1,"interval":null},)"));
}

TEST_CASE("stats: Prometheus' exposition format, metrics together under one type") {
  Counting c;
  const std::string text = c.ask("/stats/prometheus").body;
  for (const char* part :
       {"# TYPE envoy_cluster_upstream_rq_total counter\n"
        "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"we\\\"b\\\\1\"} 1\n"
        "envoy_cluster_upstream_rq_total{envoy_cluster_name=\"web\"} 5\n",
        "envoy_cluster_upstream_rq_xx{envoy_response_code_class=\"2\",envoy_cluster_name=\"web\"} 4\n",
        "envoy_cluster_upstream_rq{envoy_response_code=\"503\",envoy_cluster_name=\"web\"} 1\n",
        "# TYPE envoy_cluster_upstream_rq_time histogram\n"
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"web\",le=\"0.5\"} 0\n"
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"web\",le=\"1\"} 1\n"
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"web\",le=\"5\"} 4\n",
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"web\",le=\"250\"} 5\n",
        "envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name=\"web\",le=\"+Inf\"} 5\n"
        "envoy_cluster_upstream_rq_time_sum{envoy_cluster_name=\"web\"} 108\n"
        "envoy_cluster_upstream_rq_time_count{envoy_cluster_name=\"web\"} 5\n",
        "# TYPE envoy_server_live gauge\nenvoy_server_live 1\n"}) {
    CAPTURE(part);
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(text.find("upstream_rq_200") == std::string::npos);
}

TEST_CASE("stats: quantiles and counts by bound do not leave the recorded range, and grow") {
  StatRegistry registry;
  StatSlab slab;
  registry.attach(slab);
  const StatId id = registry.histogram({.full = "h", .base = "h", .labels = {}});
  for (uint64_t i = 1; i <= 1000; ++i) slab.record(id, i);
  slab.record(id, UINT64_MAX);
  const std::vector<StatValue> all = registry.collect();
  const StatValue& h = all.at(0);
  double last = 0;
  for (const double q : {0.0, 10.0, 50.0, 90.0, 99.0}) {
    CAPTURE(q);
    const double value = quantile(h, q);
    CHECK(value >= last);
    CHECK(value <= 1100);
    last = value;
  }
  CHECK(quantile(h, 50) > 400);
  CHECK(quantile(h, 50) < 600);
  uint64_t before = 0;
  for (const double bound : {0.5, 1.0, 5.0, 10.0, 100.0, 1000.0, 1e6, 1e12}) {
    CAPTURE(bound);
    const uint64_t n = count_up_to(h, bound);
    CHECK(n >= before);
    before = n;
  }
  CHECK(count_up_to(h, 3) == 3);
  CHECK(before == 1000);
  registry.detach(slab);
}

TEST_CASE("stats: reset_counters begins again at zero, and gauges stay") {
  Counting c;
  c.slab.add(c.server.stats.gauge({.full = "g", .base = "g", .labels = {}}), 3);
  CHECK(c.ask("/reset_counters", "POST").status == 200);
  CHECK(c.server.stats.value("cluster.web.upstream_rq_total") == 0);
  CHECK(c.server.stats.value("g") == 3);
  const StatScope web("cluster", "envoy_cluster_name", "web");
  c.slab.add(c.server.stats.counter(web.name("upstream_rq_total")));
  CHECK(c.server.stats.value("cluster.web.upstream_rq_total") == 1);
}

TEST_CASE("json: what is written can be read") {
  JsonWriter json(JsonWriter::Style::one_line);
  json.begin_object().field("a\"\\\n\x01", "v").key("e").begin_array().end_array();
  json.key("n").begin_array().number(1).null().boolean(true).begin_object().end_object().end_array().end_object();
  CHECK(json.take() == "{\"a\\\"\\\\\\n\\u0001\":\"v\",\"e\":[],\"n\":[1,null,true,{}]}");
}
