// Counters, gauges and histograms. A StatId is allocated once, when configuration is built or a cluster is first used;
// each worker owns a StatSlab and adds to it with plain loads and stores (it is the slab's only writer). The main
// thread sums the slabs when somebody asks. So no hot path looks a name up, takes a lock or shares a cache line.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pillion {

enum class StatKind : uint8_t { counter, gauge, histogram };

// The name as Envoy spells it, and the same name split into a Prometheus base and labels:
// "cluster.web.upstream_rq_total" = base "cluster.upstream_rq_total" + {envoy_cluster_name: web}.
struct StatName {
  std::string full;
  std::string base;
  std::vector<std::pair<std::string, std::string>> labels;
};

// "cluster." + name + "." with its label, so that stats of one thing are named alike.
class StatScope {
 public:
  StatScope() = default;
  StatScope(std::string_view base, std::string_view label, std::string_view value)
      : full_(std::string(base) + "." + std::string(value) + "."), base_(std::string(base) + ".") {
    labels_.emplace_back(label, value);
  }
  StatName name(std::string_view leaf) const { return {full_ + std::string(leaf), base_ + std::string(leaf), labels_}; }

 private:
  std::string full_;
  std::string base_;
  std::vector<std::pair<std::string, std::string>> labels_;
};

struct StatId {
  uint32_t index = 0;  // 0 is a slot that nobody reads: an id that was never set counts into the void
};

// A histogram takes kBuckets slots: log-linear, 4 sub-buckets per power of two, values in its own unit (ms for
// *_time, as Envoy has them), then the sum and the count.
struct Histogram {
  static constexpr uint32_t kBuckets = 96;
  static constexpr uint32_t kSlots = kBuckets + 2;
  static uint32_t bucket_of(uint64_t value);
  static uint64_t lower_bound(uint32_t bucket);
};

class StatSlab {
 public:
  static constexpr uint32_t kPageSlots = 1024;
  static constexpr uint32_t kPagesMax = 4096;  // 4 million slots: a limit on what configuration can ask for

  void add(StatId id, uint64_t n = 1) {
    std::atomic<uint64_t>& slot = at(id.index);
    slot.store(slot.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(StatId id, uint64_t n = 1) { add(id, ~n + 1); }
  void record(StatId histogram, uint64_t value) {
    add({histogram.index + Histogram::bucket_of(value)});
    add({histogram.index + Histogram::kBuckets}, value);
    add({histogram.index + Histogram::kBuckets + 1});
  }
  uint64_t read(uint32_t index) const {
    const Page* page = pages_[index / kPageSlots].load(std::memory_order_acquire);
    return page == nullptr ? 0 : page->slots[index % kPageSlots].load(std::memory_order_relaxed);
  }
  StatSlab() = default;
  ~StatSlab();
  StatSlab(const StatSlab&) = delete;
  StatSlab& operator=(const StatSlab&) = delete;

 private:
  struct Page {
    std::array<std::atomic<uint64_t>, kPageSlots> slots{};
  };
  std::atomic<uint64_t>& at(uint32_t index) {
    Page* page = pages_[index / kPageSlots].load(std::memory_order_relaxed);
    if (page == nullptr) [[unlikely]]
      page = grow(index / kPageSlots);
    return page->slots[index % kPageSlots];
  }
  Page* grow(uint32_t page);

  std::array<std::atomic<Page*>, kPagesMax> pages_{};
};

struct StatValue {
  const StatName* name;
  StatKind kind;
  uint64_t value = 0;             // counter, gauge; the count of a histogram
  uint64_t sum = 0;               // histogram
  std::vector<uint64_t> buckets;  // histogram: kBuckets counts
};

// Owned by the process; names are kept for its life. Thread-safe.
class StatRegistry {
 public:
  StatId counter(const StatName& name) { return find_or_make(name, StatKind::counter); }
  StatId gauge(const StatName& name) { return find_or_make(name, StatKind::gauge); }
  StatId histogram(const StatName& name) { return find_or_make(name, StatKind::histogram); }

  void attach(const StatSlab& slab);
  void detach(const StatSlab& slab);  // its counters are kept in the sums

  void reset_counters();  // their sums begin at zero again; gauges and histograms stay

  std::vector<StatValue> collect() const;            // sorted by full name
  uint64_t value(std::string_view full_name) const;  // counter or gauge; 0 if there is none; for tests and admin

 private:
  struct Entry {
    StatName name;
    StatKind kind;
    uint32_t index;
  };
  StatId find_or_make(const StatName& name, StatKind kind);
  uint64_t sum(uint32_t index) const;

  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::vector<const StatSlab*> slabs_;
  StatSlab gone_;  // what detached slabs had counted
  uint32_t next_ = 1;
};

}  // namespace pillion
