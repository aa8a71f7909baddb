// The short way for the heads that nearly all messages have: whole in one read, one of the usual methods, a path, and
// fields without surprises. Whatever is unusual, also what is wrong, is not decided here: llhttp reads it from the
// beginning. So nothing may be taken here that llhttp and h1_head would refuse or read differently; the tests and the
// fuzzer compare the two ways, since a head that is cut anywhere goes the long one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace pillion::http {

struct H1PlainHead {
  static constexpr size_t kFieldsMax = 64;
  // Offsets into what was read.
  struct Span {
    uint32_t begin;
    uint32_t end;
    std::string_view of(const char* base) const { return {base + begin, end - begin}; }
  };
  size_t bytes = 0;  // of the head, with the empty line at its end
  std::string_view method;
  Span target{};
  uint16_t status = 0;
  size_t fields = 0;
  std::array<Span, kFieldsMax> names;
  std::array<Span, kFieldsMax> values;  // without surrounding white space
};

// False: the head is not whole or not plain, and `head` means nothing.
bool read_plain_request(std::string_view bytes, H1PlainHead& head);
bool read_plain_response(std::string_view bytes, H1PlainHead& head);

}  // namespace pillion::http
