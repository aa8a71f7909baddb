// What is known of every request of a simulated world, and what was found to be wrong.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"

namespace pillion::sim {

enum class Invariant : uint8_t {
  ends_once,        // each request has one end, for the client and in the access log
  attempts,         // tries <= 1 + retries + safe replays
  runs_once,        // what may not run twice does not
  whole_responses,  // what looks whole is whole, and is the answer to this request
  ejection,         // ejected <= max_ejection_percent
  breakers,         // connections, pending, requests, retries <= their limits
  buffers,          // memory <= marks of the hops
  nothing_left,     // when all is over, counts, gauges, timers and chunks are back to zero
  kCount
};
std::string_view name_of(Invariant invariant);

struct RequestFacts {
  std::string path, method;
  Instant started{};
  uint32_t retries_allowed = 0;  // the most that a policy said while it ran
  bool may_repeat = false;       // idempotent, or the policy repeats what may have run
  uint32_t heads = 0;            // that origins saw
  uint32_t executions = 0;       // requests that an origin had whole, and acted upon
  uint32_t ends = 0;             // as the client sees it
  uint32_t log_lines = 0;
  bool was_whole = false;  // the client has the whole response
  bool gave_up = false;    // the client ended it itself
};

class Ledger {
 public:
  std::vector<RequestFacts> requests;  // by id
  RequestFacts& at(uint64_t id) { return requests.at(id); }

  // Only the first few of each kind are kept in words.
  void violate(Invariant invariant, std::string what) {
    uint32_t& n = counts_[static_cast<size_t>(invariant)];
    if (n++ < 5) violations.push_back(std::string(name_of(invariant)) + ": " + std::move(what));
  }
  uint32_t count(Invariant invariant) const { return counts_[static_cast<size_t>(invariant)]; }

  // The id in a path "/cluster/id".
  static uint64_t id_of(std::string_view path);

  void on_head(std::string_view path);
  void on_execution(std::string_view path);
  void on_end(uint64_t id, bool whole, bool gave_up);
  void on_log(std::string_view line);  // begins with the path

  std::vector<std::string> violations;

 private:
  uint32_t counts_[static_cast<size_t>(Invariant::kCount)] = {};
};

}  // namespace pillion::sim
