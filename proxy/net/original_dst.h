// Where a connection was going before iptables redirected it (SO_ORIGINAL_DST of the NAT table).
#pragma once

#include <optional>

#include "proxy/base/address.h"

namespace pillion::net {

// None where the connection was not redirected, or the socket is of another family.
std::optional<Address> original_destination(int fd);

}  // namespace pillion::net
