// Which destinations speak before their client does (NATS, MariaDB, SMTP): there the intake dials at once instead of
// waiting whether the client says something. What is learned only saves time, it never decides: a client that speaks
// is always listened to.
#pragma once

#include <list>
#include <unordered_map>

#include "proxy/base/address.h"

namespace pillion::downstream {

// One worker's; the least recently used destination is forgotten when it is full.
class ServerFirstMemory {
 public:
  static constexpr size_t kDestinationsMax = 4096;

  bool contains(const Address& destination) {
    const auto found = index_.find(destination);
    if (found == index_.end()) return false;
    order_.splice(order_.begin(), order_, found->second);
    return true;
  }
  void learn(const Address& destination) {
    if (contains(destination)) return;
    if (index_.size() >= kDestinationsMax) {
      index_.erase(order_.back());
      order_.pop_back();
    }
    order_.push_front(destination);
    index_.emplace(destination, order_.begin());
  }
  void forget(const Address& destination) {
    const auto found = index_.find(destination);
    if (found == index_.end()) return;
    order_.erase(found->second);
    index_.erase(found);
  }
  size_t size() const { return index_.size(); }

 private:
  std::list<Address> order_;  // the last used first
  std::unordered_map<Address, std::list<Address>::iterator, AddressHash> index_;
};

}  // namespace pillion::downstream
