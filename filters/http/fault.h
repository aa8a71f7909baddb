// Fault injection (envoy.filters.http.fault): requests are delayed, answered with an error, or both, in that order.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/config/matcher.h"
#include "proxy/filter/filter.h"

namespace pillion::filters {

struct FaultDelay {
  Duration fixed{};        // more than zero, unless by_header
  bool by_header = false;  // x-envoy-fault-delay-request says how many milliseconds
  config::FractionalPercent share;
};

struct FaultAbort {
  uint16_t http_status = 0;  // 0: grpc_status, or by_header
  int grpc_status = -1;      // -1: http_status, or by_header
  bool by_header = false;    // x-envoy-fault-abort-request or x-envoy-fault-abort-grpc-request
  config::FractionalPercent share;
};

struct FaultSettings {
  std::optional<FaultDelay> delay;
  std::optional<FaultAbort> abort;
  // Only requests that all of these hold for.
  std::string upstream_cluster;  // "": any
  std::vector<config::HeaderMatcher> headers;
  std::set<std::string, std::less<>> downstream_nodes;  // of x-envoy-downstream-service-node; empty: any
  std::optional<uint64_t> active_faults_max;            // at a time, on all workers, of this entry in the chain
};

// The entry in the chain, and also what a route says in its place; its counters are the entry's in both cases.
class FaultConfig final : public filter::HttpFilterConfig {
 public:
  explicit FaultConfig(FaultSettings settings) : settings_(std::move(settings)) {}
  std::unique_ptr<filter::Filter> make(filter::FilterContext& context) const override;
  std::span<const filter::FilterStat> stats() const override;

  const FaultSettings& settings() const { return settings_; }
  // Whether one more fault may be active. What it counts is shared by the workers; the limit may be overshot by as many
  // faults as there are workers, as in Envoy.
  bool may_begin(const std::optional<uint64_t>& limit) const {
    return !limit || active_.load(std::memory_order_relaxed) < *limit;
  }
  void on_begin() const { active_.fetch_add(1, std::memory_order_relaxed); }
  void on_end() const { active_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  FaultSettings settings_;
  mutable std::atomic<uint64_t> active_{0};
};

}  // namespace pillion::filters
