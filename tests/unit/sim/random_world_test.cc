#include "tests/sim/random_world.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>

using namespace pillion;
using namespace pillion::sim;

namespace {

std::string source_dir() {
  const char* const dir = std::getenv("PILLION_SOURCE_DIR");
  return dir == nullptr ? "." : dir;
}

uint64_t number_from_environment(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

RandomResult must_hold(uint64_t seed, uint32_t filters = 0) {
  const RandomResult result = run_random_world(seed, Plant::none, filters);
  std::string wrong;
  for (const std::string& v : result.violations) wrong += "\n  " + v;
  const std::string with = filters == 0 ? "" : fmt::format(" PILLION_FILTERS={}", filters);
  INFO("PILLION_SEED=" << seed << with << " make sim replays this world");
  CHECK(wrong == "");
  return result;
}

}  // namespace

// `make sim SEEDS=n` runs n worlds from a seed of the day; `make test` a few dozen, always the same. PILLION_SEED names
// one world, and PILLION_FILTERS how many filters it has.
TEST_CASE("sim: random worlds keep the invariants") {
  if (std::getenv("PILLION_SEED") != nullptr) {
    const uint64_t seed = number_from_environment("PILLION_SEED", 1);
    const auto filters = static_cast<uint32_t>(number_from_environment("PILLION_FILTERS", 0));
    const RandomResult r = run_random_world(seed, Plant::none, filters);
    fmt::print(
        "seed {}: {} requests, {} whole, {} retries, {} replays, {} ejections, {} turns, {} bytes held at most, "
        "{} s, trace {:016x}\n",
        seed, r.requests, r.whole, r.retries, r.replays, r.ejections, r.turns, r.buffered_max,
        r.elapsed.count() / 1'000'000, r.trace_hash);
    must_hold(seed, filters);
    return;
  }
  const uint64_t first = number_from_environment("PILLION_FIRST_SEED", 1);
  const uint64_t count = number_from_environment("PILLION_SEEDS", 40);
  for (uint64_t seed = first; seed < first + count; ++seed) must_hold(seed);
}

TEST_CASE("sim: random worlds with filters that hold, stop, answer and reset keep the invariants too") {
  if (std::getenv("PILLION_SEED") != nullptr) return;  // that one world was run above
  const uint64_t first = number_from_environment("PILLION_FIRST_SEED", 1) + 10'000;
  const uint64_t count = number_from_environment("PILLION_SEEDS", 30);
  uint64_t requests = 0, whole = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    const RandomResult result = must_hold(seed, 1 + seed % 3);
    requests += result.requests;
    whole += result.whole;
  }
  CHECK(2 * whole > requests);  // the filters did not end everything early
}

TEST_CASE("sim: worlds that went wrong once do not any more") {
  std::ifstream file(source_dir() + "/tests/sim/regressions.txt");
  REQUIRE(file.is_open());
  size_t worlds = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    char* rest = nullptr;
    const uint64_t seed = std::strtoull(line.c_str(), &rest, 10);
    must_hold(seed, static_cast<uint32_t>(std::strtoul(rest, nullptr, 10)));
    ++worlds;
  }
  CHECK(worlds > 0);
}

TEST_CASE("sim: the same seed is the same world, another is another") {
  for (uint64_t seed = 100; seed < 106; ++seed) {
    CAPTURE(seed);
    const RandomResult once = run_random_world(seed);
    const RandomResult again = run_random_world(seed);
    CHECK(once.trace_hash == again.trace_hash);
    CHECK(once.turns == again.turns);
    CHECK(once.trace_hash != run_random_world(seed + 1000).trace_hash);
  }
}
