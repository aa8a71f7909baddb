#include <doctest/doctest.h>

#include "proxy/downstream/server_first.h"

using namespace pillion;
using downstream::ServerFirstMemory;

TEST_CASE("server first: the least recently used destination is forgotten when the memory is full") {
  ServerFirstMemory memory;
  const auto address = [](size_t i) { return *Address::parse_ip("10.0.0.1", static_cast<uint16_t>(i)); };
  for (size_t i = 0; i < ServerFirstMemory::kDestinationsMax; ++i) memory.learn(address(i));
  CHECK(memory.contains(address(0)));  // and now it is the last used
  memory.learn(address(ServerFirstMemory::kDestinationsMax));
  CHECK(memory.size() == ServerFirstMemory::kDestinationsMax);
  CHECK(memory.contains(address(0)));
  CHECK_FALSE(memory.contains(address(1)));
  CHECK(memory.contains(address(2)));
  memory.forget(address(2));
  CHECK_FALSE(memory.contains(address(2)));
  memory.learn(address(0));  // again: still once
  CHECK(memory.size() == ServerFirstMemory::kDestinationsMax - 1);
}
