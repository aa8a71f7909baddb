#include "proxy/upstream/priority.h"

#include <doctest/doctest.h>

#include <string>

using namespace pillion::upstream;

TEST_CASE("priority: the load of each level follows its health, and all levels together carry everything") {
  struct Case {
    const char* name;
    std::vector<PriorityHealth> levels;
    uint32_t threshold;
    std::vector<PriorityLoad> want;
  };
  const Case kCases[] = {
      {"all well", {{10, 10, 0}, {10, 10, 0}}, 50, {{100, 0, false}, {0, 0, false}}},
      {"71 % are almost enough", {{100, 71, 0}, {10, 10, 0}}, 50, {{99, 0, false}, {1, 0, false}}},
      {"72 % are enough", {{100, 72, 0}, {10, 10, 0}}, 50, {{100, 0, false}, {0, 0, false}}},
      {"half of the first", {{10, 5, 0}, {10, 10, 0}}, 50, {{70, 0, false}, {30, 0, false}}},
      {"the first is gone", {{10, 0, 0}, {10, 10, 0}}, 50, {{0, 0, false}, {100, 0, false}}},
      {"health is scaled up where both lack it", {{100, 25, 0}, {100, 25, 0}}, 0, {{50, 0, false}, {50, 0, false}}},
      {"what rounding leaves goes to the first healthy one",
       {{10, 1, 0}, {10, 1, 0}, {10, 1, 0}},
       0,
       {{34, 0, false}, {33, 0, false}, {33, 0, false}}},
      {"degraded ones come after all healthy ones", {{10, 5, 5}, {10, 1, 0}}, 50, {{70, 16, false}, {14, 0, false}}},
      {"only degraded", {{10, 0, 10}}, 50, {{0, 100, false}}},
      {"one level, too few are well", {{10, 3, 0}}, 50, {{100, 0, true}}},
      {"one level, nobody is well", {{10, 0, 0}}, 50, {{100, 0, true}}},
      {"all levels in panic share by the number of hosts", {{3, 0, 0}, {7, 0, 0}}, 50, {{30, 0, true}, {70, 0, true}}},
      {"panic of one level only", {{10, 4, 0}, {10, 5, 0}}, 60, {{56, 0, false}, {44, 0, false}}},
      {"panic is off and nobody is well", {{10, 0, 0}, {10, 0, 0}}, 0, {{100, 0, false}, {0, 0, false}}},
      {"no hosts at all", {{0, 0, 0}}, 50, {{100, 0, true}}},
      {"an empty first level", {{0, 0, 0}, {10, 10, 0}}, 50, {{0, 0, false}, {100, 0, false}}},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const std::vector<PriorityLoad> got = share_load(c.levels, 140, c.threshold);
    REQUIRE(got.size() == c.want.size());
    uint32_t sum = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      CAPTURE(i);
      CHECK(got[i].healthy == c.want[i].healthy);
      CHECK(got[i].degraded == c.want[i].degraded);
      CHECK(got[i].panic == c.want[i].panic);
      sum += got[i].healthy + got[i].degraded;
    }
    CHECK(sum == 100);
  }
}
