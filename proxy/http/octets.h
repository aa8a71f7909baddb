// Eight octets at a time: what the scans of heads are made of.
#pragma once

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace pillion::http {

inline constexpr size_t kWordBytes = sizeof(uint64_t);

inline uint64_t load_word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

constexpr uint64_t repeated(uint8_t octet) {
  return 0x0101010101010101u * octet;
}

constexpr bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

// tchar of RFC 9110 5.6.2.
constexpr std::array<bool, 256> make_token_chars() {
  std::array<bool, 256> ok{};
  for (int c = '0'; c <= '9'; ++c) ok[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) ok[c] = ok[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("!#$%&'*+-.^_`|~")) ok[static_cast<unsigned char>(c)] = true;
  return ok;
}
inline constexpr std::array<bool, 256> kTokenChars = make_token_chars();

constexpr bool is_token_char(char c) {
  return kTokenChars[static_cast<unsigned char>(c)];
}

// How many octets there are before the first control (below 0x20, a tab too, or DEL); all of them where there is none.
inline size_t plain_prefix(std::string_view bytes) {
  static_assert(std::endian::native == std::endian::little);
  size_t n = 0;
#ifdef __SSE2__
  for (; n + sizeof(__m128i) <= bytes.size(); n += sizeof(__m128i)) {
    const __m128i octets = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + n));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(octets, _mm_set1_epi8(0x1f)), octets);
    const __m128i del = _mm_cmpeq_epi8(octets, _mm_set1_epi8(0x7f));
    const auto found = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(low, del)));
    if (found != 0) return n + static_cast<size_t>(std::countr_zero(found));
  }
#endif
  for (; n + kWordBytes <= bytes.size(); n += kWordBytes) {
    const uint64_t word = load_word(bytes.data() + n);
    const uint64_t del = word ^ repeated(0x7f);
    const uint64_t found = (((word - repeated(0x20)) & ~word) | ((del - repeated(0x01)) & ~del)) & repeated(0x80);
    // A borrow may mark an octet behind one that is marked rightly: the first mark is exact.
    if (found != 0) return n + static_cast<size_t>(std::countr_zero(found)) / 8;
  }
  while (n < bytes.size() && !is_control(bytes[n])) ++n;
  return n;
}

// ASCII letters made small.
constexpr uint64_t lower(uint64_t word) {
  const uint64_t low_bits = word & repeated(0x7f);
  const uint64_t from_a = low_bits + repeated(0x80 - 'A');
  const uint64_t above_z = low_bits + repeated(0x7f - 'Z');
  const uint64_t capitals = (from_a ^ above_z) & ~word & repeated(0x80);
  return word | (capitals >> 2);
}

// Fewer than eight octets as a word; `size` is not 0. Loads that overlap bring the same octets to the same place.
inline uint64_t load_short(const char* at, size_t size) {
  if (size >= sizeof(uint32_t)) {
    uint32_t first, last;
    std::memcpy(&first, at, sizeof first);
    std::memcpy(&last, at + size - sizeof last, sizeof last);
    return first | static_cast<uint64_t>(last) << (size - sizeof last) * 8;
  }
  const auto octet = [&](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(at[i])) << i * 8; };
  return octet(0) | octet(size / 2) | octet(size - 1);
}

}  // namespace pillion::http
