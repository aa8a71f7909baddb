#include "proxy/rpc/grpc_wire.h"

#include <doctest/doctest.h>

#include "proxy/rpc/target.h"

using namespace pillion;
using namespace pillion::rpc;

TEST_CASE("grpc_wire: messages come out whole however their bytes are cut") {
  ChunkPool pool;
  const std::string large(70'000, 'z');
  for (const size_t cut : {1u, 2u, 5u, 6u, 7u, 16u, 4096u, 1'000'000u}) {
    CAPTURE(cut);
    Chain wire;
    append_grpc_message(pool, wire, "one");
    append_grpc_message(pool, wire, "");
    append_grpc_message(pool, wire, large);
    GrpcReader reader(100'000);
    Chain in;
    std::vector<std::string> got;
    while (!wire.empty()) {
      wire.move_front(std::min(cut, wire.size()), in);
      while (reader.next(in) == GrpcReader::Result::message) got.emplace_back(reader.message());
      CHECK(in.empty());
    }
    CHECK(got == std::vector<std::string>{"one", "", large});
    CHECK(reader.is_between_messages());
  }
}

TEST_CASE("grpc_wire: lengths above the limit and compressed messages are refused by their first five octets") {
  ChunkPool pool;
  struct Case {
    const char* name;
    std::string bytes;
    GrpcReader::Result want;
  };
  const Case cases[] = {
      {"at the limit", std::string("\0\0\0\0\3abc", 8), GrpcReader::Result::message},
      {"above it", std::string("\0\0\0\0\4", 5), GrpcReader::Result::too_large},
      {"far above it", std::string("\0\xff\xff\xff\xff", 5), GrpcReader::Result::too_large},
      {"compressed", std::string("\1\0\0\0\1", 5), GrpcReader::Result::compressed},
      {"cut", std::string("\0\0\0\0", 4), GrpcReader::Result::need_more},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    GrpcReader reader(3);
    Chain in;
    in.append(pool, c.bytes);
    CHECK(reader.next(in) == c.want);
  }
}

TEST_CASE("grpc_wire: grpc-message survives the round trip") {
  for (const std::string text : {"plain", "100 % of it", "line\nbreak\r", "gr\xc3\xbc\xc3\x9f", "", "\x7f\x01"}) {
    CAPTURE(text);
    const std::string encoded = percent_encode(text);
    for (const char c : encoded) CHECK((c >= 0x20 && c < 0x7f));
    CHECK(percent_decode(encoded) == text);
  }
  CHECK(percent_encode("a%b") == "a%25b");
  CHECK(percent_decode("%4") == "%4");
  CHECK(percent_decode("%zz%41%") == "%zzA%");
}

TEST_CASE("grpc_wire: statuses are numbers, and nothing else is") {
  struct Case {
    const char* text;
    int want;
  };
  for (const Case& c : {Case{"0", 0}, {"14", 14}, {"", -1}, {"-1", -1}, {"1x", -1}, {"99999999999", -1}}) {
    CAPTURE(c.text);
    CHECK(parse_grpc_status(c.text) == c.want);
  }
}

TEST_CASE("target: hosts with ports, and what is none") {
  struct Case {
    const char* text;
    const char* authority;  // null: refused
    bool is_address;
  };
  const Case cases[] = {
      {"10.0.0.1:80", "10.0.0.1:80", true},
      {"[::1]:15010", "[::1]:15010", true},
      {"control.mesh:1", "control.mesh:1", false},
      {"control.mesh", nullptr, false},
      {":80", nullptr, false},
      {"a:0", nullptr, false},
      {"a:70000", nullptr, false},
      {"a:8x", nullptr, false},
      {"unix:/x:1", nullptr, false},
      {"::1:80", nullptr, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto target = Target::parse(c.text);
    REQUIRE(target.has_value() == (c.authority != nullptr));
    if (!target) continue;
    CHECK(target->authority() == c.authority);
    CHECK(target->address.is_none() != c.is_address);
  }
}
