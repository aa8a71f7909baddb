// What does a client that spoke first in plain text speak? Asked by the intake on the first bytes of a connection,
// which it keeps; the codec sees them again from the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pillion::http {

// The client connection preface of HTTP/2 (RFC 9113 3.4).
inline constexpr std::string_view kH2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// A request line that is longer than this is taken for HTTP/1 when its beginning looks so.
inline constexpr size_t kDetectBytesMax = 8 * 1024;

enum class Detected : uint8_t { need_more, h1, h2, none };

// h1: a known method, a target of printable characters, and HTTP/1.0 or HTTP/1.1 at the end of the line. The answer is
// final as soon as it is not need_more: more bytes do not change it. `none` is said at the first byte that fits
// neither.
Detected detect(std::string_view first_bytes);

}  // namespace pillion::http
