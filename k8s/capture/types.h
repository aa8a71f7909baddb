// The values that capture rules are made of, and how many of each there may be.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pillion::k8s {

// Each list becomes rules that a connection walks one by one, so none may grow without bound.
constexpr size_t kMaxPortItems = 256;
constexpr size_t kMaxCidrs = 1024;
constexpr size_t kMaxInterfaces = 64;
constexpr size_t kMaxOwnerIds = 64;
constexpr size_t kMaxListBytes = 64 * 1024;
constexpr size_t kMaxInterfaceNameBytes = 15;  // IFNAMSIZ without the terminating zero.

struct PortRange {
  uint16_t first = 0;  // 1 to 65535; both ends are part of the range.
  uint16_t last = 0;
  friend bool operator==(const PortRange&, const PortRange&) = default;
};

// A packet matches when (packet mark & mask) == value.
struct PacketMark {
  uint32_t value = 0;
  uint32_t mask = 0xffffffff;
  friend bool operator==(const PacketMark&, const PacketMark&) = default;
};

}  // namespace pillion::k8s
