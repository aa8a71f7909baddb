#include "proxy/upstream/context.h"

namespace pillion::upstream {

void ClusterContext::report(SharedEndpoint& endpoint, const Outcome& outcome) const {
  switch (outcome.kind) {
    case Outcome::Kind::response: {
      std::atomic<uint64_t>& total = outcome.status >= 500 ? endpoint.error_total : endpoint.success_total;
      total.fetch_add(1, std::memory_order_relaxed);
      break;
    }
    case Outcome::Kind::timeout:
      endpoint.timeout_total.fetch_add(1, std::memory_order_relaxed);
      endpoint.error_total.fetch_add(1, std::memory_order_relaxed);
      break;
    case Outcome::Kind::connect_failed: endpoint.connect_fail_total.fetch_add(1, std::memory_order_relaxed); break;
    case Outcome::Kind::reset: endpoint.error_total.fetch_add(1, std::memory_order_relaxed); break;
    case Outcome::Kind::connected:
    case Outcome::Kind::connected_tcp: break;
  }
  if (!config->outlier) return;
  event::Executor& e = services.executor;
  shared->report(endpoint, outcome, *config->outlier, population, e.now(), e.random, e.stats);
}

ConnectionSlot::ConnectionSlot(ClusterContext& context, std::shared_ptr<SharedEndpoint> endpoint, BreakerSlot breaker)
    : pin_(context), endpoint_(std::move(endpoint)), breaker_(std::move(breaker)) {
  context.add_stat(context.stats().upstream_cx_total);
  context.add_stat(context.stats().upstream_cx_active);
  endpoint_->connect_total.fetch_add(1, std::memory_order_relaxed);
  endpoint_->active_connections.fetch_add(1, std::memory_order_relaxed);
}

ConnectionSlot& ConnectionSlot::operator=(ConnectionSlot&& o) noexcept {
  if (this != &o) {
    release();
    pin_ = std::move(o.pin_);
    endpoint_ = std::move(o.endpoint_);
    breaker_ = std::move(o.breaker_);
  }
  return *this;
}

void ConnectionSlot::release() {
  if (endpoint_ == nullptr) return;
  context().sub_stat(context().stats().upstream_cx_active);
  endpoint_->active_connections.fetch_sub(1, std::memory_order_relaxed);
  endpoint_.reset();
  breaker_.release();
  pin_ = ClusterPin();
}

void ClusterContext::count_status(uint16_t status) {
  for (const auto& [seen, id] : statuses) {
    if (seen == status) return add_stat(id);
  }
  statuses.emplace_back(status, shared->status_counter(status));
  add_stat(statuses.back().second);
}

}  // namespace pillion::upstream
