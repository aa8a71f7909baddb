// Which listener a captured connection is handed to: the one of its original destination (use_original_dst). Pure.
#pragma once

#include <memory>
#include <unordered_map>

#include "proxy/config/snapshot.h"

namespace pillion::worker {

class ListenerIndex {
 public:
  void build(const config::Table<config::Listener>& listeners) {
    by_address_.clear();
    for (const auto& [name, listener] : listeners) {
      for (const Address& address : listener->addresses) by_address_.emplace(address, listener);
    }
  }
  // By (address, port), then by (any address, port); null: the connection stays where it was accepted.
  std::shared_ptr<const config::Listener> find(const Address& destination) const {
    auto found = by_address_.find(destination);
    if (found == by_address_.end()) {
      const char* any = destination.family() == AF_INET6 ? "::" : "0.0.0.0";
      found = by_address_.find(*Address::parse_ip(any, destination.port()));
    }
    return found == by_address_.end() ? nullptr : found->second;
  }

 private:
  std::unordered_map<Address, std::shared_ptr<const config::Listener>, AddressHash> by_address_;
};

}  // namespace pillion::worker
