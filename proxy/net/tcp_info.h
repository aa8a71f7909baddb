// What the kernel knows of a TCP connection. Apart from tcp.cc, since <linux/tcp.h> and libuv's headers exclude each
// other.
#pragma once

#include <cstdint>
#include <optional>

namespace pillion::net {

// How many bytes the peer has acknowledged since the beginning, SYN and FIN included; none where the kernel does not
// say.
std::optional<uint64_t> acknowledged_bytes(int fd);

}  // namespace pillion::net
