#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace openloop {

// A histogram of nanoseconds in log-linear buckets: 128 to each power of two, so that a value is told within 0.8 %,
// from a nanosecond to hours, in one table of fixed size and without a sum that could hide an outlier.
class Histogram {
 public:
  void add(uint64_t ns) {
    counts_[index(ns)]++;
    count_++;
    if (ns > largest_) largest_ = ns;
  }

  // The upper edge of the bucket in which the quantile lies; the largest value itself for 1.
  uint64_t at(double quantile) const {
    if (count_ == 0) return 0;
    auto wanted = static_cast<uint64_t>(quantile * static_cast<double>(count_));
    if (wanted >= count_) return largest_;
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); i++) {
      seen += counts_[i];
      if (seen > wanted) return edge(i) < largest_ ? edge(i) : largest_;
    }
    return largest_;
  }

  uint64_t count() const { return count_; }

 private:
  static constexpr int kLinearBits = 7;
  static constexpr uint64_t kLinear = 1u << kLinearBits;
  static constexpr int kPowers = 40;

  static size_t index(uint64_t ns) {
    if (ns < kLinear) return ns;
    int shift = std::bit_width(ns) - 1 - kLinearBits;
    if (shift >= kPowers) return (kPowers + 1) * kLinear - 1;
    return static_cast<size_t>(shift + 1) * kLinear + ((ns >> shift) - kLinear);
  }

  static uint64_t edge(size_t index) {
    if (index < kLinear) return index;
    auto shift = static_cast<int>(index / kLinear) - 1;
    return ((index % kLinear + kLinear + 1) << shift) - 1;
  }

  std::array<uint64_t, (kPowers + 1) * kLinear> counts_{};
  uint64_t count_ = 0;
  uint64_t largest_ = 0;
};

}  // namespace openloop
