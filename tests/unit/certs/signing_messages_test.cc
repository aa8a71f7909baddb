#include "certs/signing_messages.h"

#include <string>

#include <doctest/doctest.h>

using namespace pillion::certs;

TEST_CASE("signing messages: a request is what istio's agents send, and reads back") {
  const std::string bytes = encode(SigningRequest{.csr = "abc", .lifetime_seconds = 300});
  CHECK(bytes == std::string("\x0a\x03"
                             "abc\x18\xac\x02"));
  const auto back = decode_signing_request(bytes);
  REQUIRE(back);
  CHECK(back->csr == "abc");
  CHECK(back->lifetime_seconds == 300);
  const auto plain = decode_signing_request(encode(SigningRequest{.csr = "abc"}));
  REQUIRE(plain);
  CHECK(plain->lifetime_seconds == 0);
}

TEST_CASE("signing messages: fields that are not known are passed over") {
  // metadata (4, a message), a fixed64 and a fixed32, then the request's own.
  const std::string bytes = std::string("\x22\x02\x0a\x00", 4) + std::string("\x29") + std::string(8, 'x') +
                            std::string("\x35") + std::string(4, 'y') + "\x0a\x01z";
  const auto back = decode_signing_request(bytes);
  REQUIRE(back);
  CHECK(back->csr == "z");
}

TEST_CASE("signing messages: a response keeps the leaf first and the roots last") {
  const std::string leaf = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
  const std::string middle = "-----BEGIN CERTIFICATE-----\nBB==\n-----END CERTIFICATE-----\n";
  const std::string roots = "-----BEGIN CERTIFICATE-----\nCC==\n-----END CERTIFICATE-----\n" + leaf;
  const auto back = decode_signing_response(encode(SigningResponse{.chain = leaf + middle, .trust_bundle = roots}));
  REQUIRE(back);
  CHECK(back->chain == leaf + middle);
  CHECK(back->trust_bundle == roots);
}

TEST_CASE("signing messages: what is not a message is refused") {
  struct Case {
    const char* name;
    std::string bytes;
  };
  const Case kCases[] = {
      {"a length beyond the end",
       "\x0a\x05"
       "abc"},
      {"an unending varint", std::string(11, '\xff')},
      {"a key without a value", "\x18"},
      {"field number 0", std::string("\x02\x00", 2)},
      {"a group", "\x0b"},
      {"a length of 2^63", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"},
      {"a cut fixed64", "\x29xxx"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    CHECK_FALSE(decode_signing_request(c.bytes));
    CHECK_FALSE(decode_signing_response(c.bytes));
  }
  CHECK_FALSE(decode_signing_response(""));
  CHECK_FALSE(decode_signing_response("\x0a\x01z"));  // a leaf without a root
}
