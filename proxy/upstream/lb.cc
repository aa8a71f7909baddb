#include "proxy/upstream/lb.h"

#include <algorithm>

#include "proxy/base/check.h"

namespace pillion::upstream {

// === EDF ===

bool Edf::later(const Entry& a, const Entry& b) {
  return a.deadline != b.deadline ? a.deadline > b.deadline : a.order > b.order;
}

void Edf::add(uint32_t index, double weight, Random& random) {
  heap_.push_back({now_ + random.unit() / weight, order_++, index});
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void Edf::advance(double weight) {
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Entry& used = heap_.back();
  now_ = used.deadline;
  used.deadline = now_ + 1.0 / weight;
  used.order = order_++;
  std::push_heap(heap_.begin(), heap_.end(), later);
}

void Edf::clear() {
  heap_.clear();
}

namespace {

uint32_t active(const LbHost& host) {
  return host.shared->active_requests.load(std::memory_order_relaxed);
}

class RoundRobin final : public Picker {
 public:
  RoundRobin(size_t hosts, Random& random) : hosts_(hosts), next_(random.below(hosts)) {}
  size_t pick(Random&) override {
    const size_t picked = next_;
    if (++next_ == hosts_) next_ = 0;
    return picked;
  }

 private:
  size_t hosts_;
  size_t next_;
};

// Envoy's policy of this name does not look at weights, so neither does this.
class Any final : public Picker {
 public:
  explicit Any(size_t hosts) : hosts_(hosts) {}
  size_t pick(Random& random) override { return random.below(hosts_); }

 private:
  size_t hosts_;
};

// The least active of a few, chosen by chance and each at most once; the first of equals.
class LeastOfFew final : public Picker {
 public:
  LeastOfFew(std::vector<LbHost> hosts, uint32_t choices) : hosts_(std::move(hosts)), order_(hosts_.size()) {
    choices_ = std::min<size_t>(std::max(choices, 2u), hosts_.size());
    for (size_t i = 0; i < order_.size(); ++i) order_[i] = static_cast<uint32_t>(i);
  }
  size_t pick(Random& random) override {
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < choices_; ++i) {
      std::swap(order_[i], order_[i + random.below(order_.size() - i)]);
      if (best == SIZE_MAX || active(hosts_[order_[i]]) < active(hosts_[best])) best = order_[i];
    }
    return best;
  }

 private:
  std::vector<LbHost> hosts_;
  std::vector<uint32_t> order_;  // a permutation; each pick shuffles its beginning anew
  size_t choices_;
};

// Weighted round robin, and weighted least request: there a host's weight falls with what it has to do, looked at
// whenever it was chosen.
class Weighted final : public Picker {
 public:
  Weighted(std::vector<LbHost> hosts, bool by_load, Random& random) : hosts_(std::move(hosts)), by_load_(by_load) {
    for (size_t i = 0; i < hosts_.size(); ++i) edf_.add(static_cast<uint32_t>(i), weight(hosts_[i]), random);
  }
  size_t pick(Random&) override {
    const uint32_t picked = edf_.peek();
    edf_.advance(weight(hosts_[picked]));
    return picked;
  }

 private:
  double weight(const LbHost& host) const {
    const double w = std::max(host.weight, 1u);
    return by_load_ ? w / (active(host) + 1.0) : w;
  }
  std::vector<LbHost> hosts_;
  bool by_load_;
  Edf edf_;
};

}  // namespace

std::unique_ptr<Picker> make_picker(const config::Cluster& config, std::vector<LbHost> hosts, Random& random) {
  PILLION_CHECK(!hosts.empty());
  const bool equal =
      std::all_of(hosts.begin(), hosts.end(), [&](const LbHost& h) { return h.weight == hosts[0].weight; });
  switch (config.lb) {
    case config::Cluster::Lb::random: return std::make_unique<Any>(hosts.size());
    case config::Cluster::Lb::least_request:
      if (equal) return std::make_unique<LeastOfFew>(std::move(hosts), config.choice_count);
      return std::make_unique<Weighted>(std::move(hosts), true, random);
    case config::Cluster::Lb::round_robin:
    case config::Cluster::Lb::ring_hash:
    case config::Cluster::Lb::maglev:
    case config::Cluster::Lb::cluster_provided: break;
  }
  if (equal) return std::make_unique<RoundRobin>(hosts.size(), random);
  return std::make_unique<Weighted>(std::move(hosts), false, random);
}

}  // namespace pillion::upstream
