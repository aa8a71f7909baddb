#include "proxy/base/stats.h"

#include <algorithm>
#include <bit>

#include "proxy/base/check.h"

namespace pillion {

uint32_t Histogram::bucket_of(uint64_t value) {
  if (value < 4) return static_cast<uint32_t>(value);
  const auto power = static_cast<uint32_t>(std::bit_width(value)) - 1;  // >= 2
  const auto sub = static_cast<uint32_t>(value >> (power - 2)) & 3;
  return std::min((power - 1) * 4 + sub, kBuckets - 1);
}

uint64_t Histogram::lower_bound(uint32_t bucket) {
  if (bucket < 4) return bucket;
  const uint32_t power = bucket / 4 + 1;
  return (uint64_t{4} + bucket % 4) << (power - 2);
}

StatSlab::~StatSlab() {
  for (auto& page : pages_) delete page.load(std::memory_order_relaxed);
}

StatSlab::Page* StatSlab::grow(uint32_t page) {
  auto* fresh = new Page();
  pages_[page].store(fresh, std::memory_order_release);
  return fresh;
}

StatId StatRegistry::find_or_make(const StatName& name, StatKind kind) {
  const std::lock_guard lock(mutex_);
  if (auto it = entries_.find(name.full); it != entries_.end()) {
    return it->second.kind == kind ? StatId{it->second.index} : StatId{0};
  }
  const uint32_t slots = kind == StatKind::histogram ? Histogram::kSlots : 1;
  if (next_ + slots > StatSlab::kPageSlots * StatSlab::kPagesMax) return {0};
  const uint32_t index = next_;
  next_ += slots;
  entries_.emplace(name.full, Entry{name, kind, index});
  return {index};
}

void StatRegistry::attach(const StatSlab& slab) {
  const std::lock_guard lock(mutex_);
  slabs_.push_back(&slab);
}

void StatRegistry::detach(const StatSlab& slab) {
  const std::lock_guard lock(mutex_);
  for (uint32_t i = 1; i < next_; ++i) {
    if (const uint64_t v = slab.read(i); v != 0) gone_.add({i}, v);
  }
  std::erase(slabs_, &slab);
}

uint64_t StatRegistry::sum(uint32_t index) const {
  uint64_t total = gone_.read(index);
  for (const StatSlab* slab : slabs_) total += slab->read(index);
  return total;
}

// The slabs belong to their writers, so the difference is kept here; sums wrap around to the right value.
void StatRegistry::reset_counters() {
  const std::lock_guard lock(mutex_);
  for (const auto& [full, entry] : entries_) {
    if (entry.kind == StatKind::counter) gone_.sub({entry.index}, sum(entry.index));
  }
}

std::vector<StatValue> StatRegistry::collect() const {
  const std::lock_guard lock(mutex_);
  std::vector<StatValue> out;
  out.reserve(entries_.size());
  for (const auto& [full, entry] : entries_) {
    StatValue v{.name = &entry.name, .kind = entry.kind};
    if (entry.kind == StatKind::histogram) {
      v.buckets.resize(Histogram::kBuckets);
      for (uint32_t b = 0; b < Histogram::kBuckets; ++b) v.buckets[b] = sum(entry.index + b);
      v.sum = sum(entry.index + Histogram::kBuckets);
      v.value = sum(entry.index + Histogram::kBuckets + 1);
    } else {
      v.value = sum(entry.index);
    }
    out.push_back(std::move(v));
  }
  return out;
}

uint64_t StatRegistry::value(std::string_view full_name) const {
  const std::lock_guard lock(mutex_);
  auto it = entries_.find(full_name);
  return it == entries_.end() || it->second.kind == StatKind::histogram ? 0 : sum(it->second.index);
}

}  // namespace pillion
