// The Resolver over c-ares, driven by the loop.
#pragma once

#include <memory>
#include <string>

#include "proxy/event/loop.h"
#include "proxy/net/resolver.h"

namespace pillion::net {

struct CaresOptions {
  std::string servers;             // "127.0.0.1:5353,…"; empty = those of /etc/resolv.conf
  bool use_search_domains = true;  // of /etc/resolv.conf
  Duration timeout{2'000'000};     // of the first try; c-ares waits longer with each
  int tries = 3;
};

// Reads /etc/resolv.conf and /etc/hosts as the system's resolver does. Literal addresses are answered without a query.
// Must die before the loop. Null, with a line in the log, where c-ares cannot be set up.
std::unique_ptr<Resolver> make_cares_resolver(event::Loop& loop, const CaresOptions& options = {});

}  // namespace pillion::net
