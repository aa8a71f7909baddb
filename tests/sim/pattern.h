// Bodies that tell who they belong to: every message has its own bytes, so that one that was cut, mixed up or repeated
// does not look right.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pillion::sim {

inline char pattern_byte(uint64_t id, uint64_t index) {
  const uint64_t mixed = (id * 0x9e3779b97f4a7c15 + index) * 0xbf58476d1ce4e5b9;
  return static_cast<char>('a' + (mixed >> 40) % 26);
}
inline std::string pattern(uint64_t id, size_t bytes) {
  std::string out(bytes, ' ');
  for (size_t i = 0; i < bytes; ++i) out[i] = pattern_byte(id, i);
  return out;
}
inline bool is_pattern(uint64_t id, size_t from, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != pattern_byte(id, from + i)) return false;
  }
  return true;
}

}  // namespace pillion::sim
