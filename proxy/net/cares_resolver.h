// The Resolver over c-ares, driven by the loop.
#pragma once

#include <memory>

#include "proxy/event/loop.h"
#include "proxy/net/resolver.h"

namespace pillion::net {

// Reads /etc/resolv.conf and /etc/hosts as the system's resolver does. Literal addresses are answered without a query.
std::unique_ptr<Resolver> make_cares_resolver(event::Loop& loop);

}  // namespace pillion::net
