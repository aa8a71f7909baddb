// A counter for each limit of H2FloodGuard, `http2.NAME` in /stats; the first six have Envoy's names. Both sides count
// into the same ones: the log says which peer it was.
#pragma once

#include <array>
#include <cstring>
#include <string>

#include "proxy/base/error.h"
#include "proxy/base/stats.h"
#include "proxy/http/h2_flood.h"

namespace pillion::http {

class H2FloodStats {
 public:
  explicit H2FloodStats(StatRegistry& registry) {
    for (size_t i = 0; i < std::size(kFloods); ++i) {
      const std::string name = std::string("http2.") + kFloods[i].counter;
      ids_[i] = registry.counter({name, name, {}});
    }
  }

  // Of an error that ended a connection: counts when a flood was the reason.
  void count(StatSlab& slab, const Error& why) const {
    if (why.code != Code::flood) return;
    for (size_t i = 0; i < std::size(kFloods); ++i) {
      if (std::strcmp(kFloods[i].what, why.what) == 0) slab.add(ids_[i]);
    }
  }

 private:
  std::array<StatId, std::size(kFloods)> ids_;
};

}  // namespace pillion::http
