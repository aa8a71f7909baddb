// The policies that choose one host of a list: lb_policy of a cluster. A picker is made for one list and thrown away
// with it; priorities, localities and health were decided before.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "proxy/base/random.h"
#include "proxy/config/cluster.h"
#include "proxy/upstream/shared.h"

namespace pillion::upstream {

// Earliest deadline first: each pick moves the item by 1/weight, so that over time each has its share, evenly spread.
// Starts at random points, or all workers would begin with the same host.
class Edf {
 public:
  void add(uint32_t index, double weight, Random& random);  // weight > 0
  bool empty() const { return heap_.empty(); }
  uint32_t peek() const { return heap_.front().index; }  // requires !empty()
  void advance(double weight);                           // the one that peek() showed was used
  void clear();

 private:
  struct Entry {
    double deadline;
    uint64_t order;  // ties: who was added first
    uint32_t index;
  };
  static bool later(const Entry& a, const Entry& b);
  std::vector<Entry> heap_;
  double now_ = 0;
  uint64_t order_ = 0;
};

struct LbHost {
  uint32_t weight = 1;
  const SharedEndpoint* shared = nullptr;
};

class Picker {
 public:
  virtual ~Picker() = default;
  virtual size_t pick(Random& random) = 0;  // an index of the list
};

// `hosts` is not empty. Policies that are not here yet (ring hash, maglev) are refused by xds/translate; they would
// be served round robin.
std::unique_ptr<Picker> make_picker(const config::Cluster& config, std::vector<LbHost> hosts, Random& random);

}  // namespace pillion::upstream
