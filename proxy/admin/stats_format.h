// Statistics as text, JSON and Prometheus' exposition format. Pure.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "proxy/base/stats.h"

namespace pillion::admin {

// The value below which `percent` of what was recorded lies, by interpolation in the bucket; the histogram is not
// empty.
double quantile(const StatValue& histogram, double percent);
// How many of the recorded values are at most `bound`; by interpolation in the bucket that it cuts.
uint64_t count_up_to(const StatValue& histogram, double bound);

std::string stats_as_text(std::span<const StatValue> stats);
std::string stats_as_json(std::span<const StatValue> stats);
// https://prometheus.io/docs/instrumenting/exposition_formats, with Envoy's names and labels: "cluster.upstream_rq_2xx"
// is envoy_cluster_upstream_rq_xx{envoy_response_code_class="2"}.
std::string stats_as_prometheus(std::span<const StatValue> stats);

}  // namespace pillion::admin
