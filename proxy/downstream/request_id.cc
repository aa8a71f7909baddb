#include "proxy/downstream/request_id.h"

#include <cstdint>

namespace pillion::downstream {

std::string_view make_request_id(Random& random, Arena& arena) {
  constexpr size_t kLength = 36;
  constexpr char kHex[] = "0123456789abcdef";
  uint64_t words[2] = {random.next(), random.next()};
  words[0] = (words[0] & ~uint64_t{0xf000}) | 0x4000;                  // version 4
  words[1] = (words[1] & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);  // variant 10
  char* const out = arena.allocate(kLength);
  char* w = out;
  for (int nibble = 0; nibble < 32; ++nibble) {
    if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) *w++ = '-';
    const uint64_t word = words[nibble / 16];
    *w++ = kHex[(word >> (60 - 4 * (nibble % 16))) & 15];
  }
  return {out, kLength};
}

}  // namespace pillion::downstream
