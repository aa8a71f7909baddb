#include "certs/encoding.h"

#include <doctest/doctest.h>

using namespace pillion::certs;

TEST_CASE("encoding: base64url goes there and back at every length") {
  std::string bytes;
  for (int size = 0; size < 70; ++size) {
    CAPTURE(size);
    const std::string text = base64url_encode(bytes);
    CHECK(text.find_first_of("+/=") == std::string::npos);
    CHECK(base64url_decode(text) == bytes);
    bytes += static_cast<char>(size * 37 + 11);
  }
  CHECK(base64url_encode("\xfb\xff") == "-_8");
  CHECK(base64url_encode("hello") == "aGVsbG8");
}

TEST_CASE("encoding: base64url has one spelling per value") {
  for (const char* text : {"a", "aGVsbG8=", "aGVsbG9", "aGVsb G8", "-_9", "+/8", "aGVsbG8\n", "aaaaa"}) {
    CAPTURE(text);
    CHECK_FALSE(base64url_decode(text).has_value());
  }
}

TEST_CASE("encoding: hexadecimal is lower case and of the given length") {
  CHECK(hex_encode(std::string("\x00\x9f\xff", 3)) == "009fff");
  CHECK(is_lower_hex("009fff", 6));
  for (const char* text : {"009FFF", "009ff", "009fffa", "00 fff", "00gfff"}) {
    CAPTURE(text);
    CHECK_FALSE(is_lower_hex(text, 6));
  }
}
