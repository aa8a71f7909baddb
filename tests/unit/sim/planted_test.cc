// Each invariant is shown to fail: a world with a planted bug is found out, and by the invariant that is there for it.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <string>

#include "tests/sim/random_world.h"

using namespace pillion;
using namespace pillion::sim;

TEST_CASE("sim: every invariant finds its planted bug") {
  struct Case {
    Plant plant;
    const char* name;
    Invariant found_by;
  };
  static constexpr Case kCases[] = {
      {Plant::forgets_timeouts, "forgets_timeouts", Invariant::ends_once},
      {Plant::logs_twice, "logs_twice", Invariant::ends_once},
      {Plant::retries_without_limit, "retries_without_limit", Invariant::attempts},
      {Plant::retries_what_ran, "retries_what_ran", Invariant::runs_once},
      {Plant::cuts_responses, "cuts_responses", Invariant::whole_responses},
      {Plant::mixes_responses, "mixes_responses", Invariant::whole_responses},
      {Plant::ejects_all, "ejects_all", Invariant::ejection},
      {Plant::ignores_connections, "ignores_connections", Invariant::breakers},
      {Plant::ignores_pending, "ignores_pending", Invariant::breakers},
      {Plant::ignores_requests, "ignores_requests", Invariant::breakers},
      {Plant::ignores_retries, "ignores_retries", Invariant::breakers},
      {Plant::never_congested, "never_congested", Invariant::buffers},
      {Plant::loses_dials, "loses_dials", Invariant::nothing_left},
  };
  static_assert(std::size(kCases) + 1 == static_cast<size_t>(Plant::kCount), "each plant has its case");
  constexpr uint64_t kSeedsMax = 100;
  std::array<bool, static_cast<size_t>(Invariant::kCount)> shown{};
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    uint64_t found_at = 0;
    for (uint64_t seed = 1; seed <= kSeedsMax && found_at == 0; ++seed) {
      if (run_random_world(seed, c.plant).counts[static_cast<size_t>(c.found_by)] > 0) found_at = seed;
    }
    fmt::print("{}: found by {} with seed {}\n", c.name, name_of(c.found_by), found_at);
    CHECK(found_at > 0);
    shown[static_cast<size_t>(c.found_by)] = true;
  }
  for (size_t i = 0; i < shown.size(); ++i) {
    CAPTURE(name_of(static_cast<Invariant>(i)));
    CHECK(shown[i]);
  }
}
