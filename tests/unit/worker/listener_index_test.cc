#include <string>

#include <doctest/doctest.h>

#include "proxy/worker/listener_index.h"

using namespace pillion;

TEST_CASE("listener index: (address, port), then (any address, port), else nothing; IPv4 and IPv6 apart") {
  config::Table<config::Listener> table;
  const auto add = [&](const char* name, std::initializer_list<const char*> addresses) {
    auto listener = std::make_shared<config::Listener>();
    listener->name = name;
    for (const char* address : addresses) listener->addresses.push_back(*Address::parse(address));
    table.insert_or_assign(name, std::move(listener));
  };
  add("vip", {"10.0.0.1:80"});
  add("any 80", {"0.0.0.0:80"});
  add("two", {"10.0.0.2:90", "[fd00::2]:90"});
  add("any6", {"[::]:90"});
  worker::ListenerIndex index;
  index.build(table);

  struct Case {
    const char* destination;
    const char* want;
  };
  static constexpr Case kCases[] = {
      {"10.0.0.1:80", "vip"},  {"10.0.0.9:80", "any 80"}, {"10.0.0.1:81", ""}, {"10.0.0.2:90", "two"},
      {"[fd00::2]:90", "two"}, {"[fd00::3]:90", "any6"},  {"10.0.0.3:90", ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.destination);
    const auto found = index.find(*Address::parse(c.destination));
    CHECK((found == nullptr ? std::string() : found->name) == c.want);
  }
}
