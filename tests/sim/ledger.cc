#include "tests/sim/ledger.h"

#include <fmt/format.h>

#include <charconv>

#include "proxy/base/check.h"
#include "proxy/route/retry.h"

namespace pillion::sim {

std::string_view name_of(Invariant invariant) {
  static constexpr std::string_view kNames[] = {"ends_once", "attempts", "runs_once", "whole_responses",
                                                "ejection",  "breakers", "buffers",   "nothing_left"};
  return kNames[static_cast<size_t>(invariant)];
}

uint64_t Ledger::id_of(std::string_view path) {
  uint64_t id = UINT64_MAX;
  const std::string_view digits = path.substr(path.rfind('/') + 1);
  std::from_chars(digits.data(), digits.data() + digits.size(), id);
  return id;
}

void Ledger::on_head(std::string_view path) {
  RequestFacts& r = at(id_of(path));
  if (++r.heads > 1 + r.retries_allowed + route::RetryState::kSafeReplaysMax) {
    violate(Invariant::attempts,
            fmt::format("{} {} came {} times, with {} retries allowed", r.method, path, r.heads, r.retries_allowed));
  }
}

void Ledger::on_execution(std::string_view path) {
  RequestFacts& r = at(id_of(path));
  const uint32_t most = r.may_repeat ? 1 + r.retries_allowed + route::RetryState::kSafeReplaysMax : 1;
  if (++r.executions > most) {
    violate(Invariant::runs_once, fmt::format("{} {} ran {} times, at most {}", r.method, path, r.executions, most));
  }
}

void Ledger::on_end(uint64_t id, bool whole, bool gave_up) {
  RequestFacts& r = at(id);
  r.was_whole = whole;
  r.gave_up = gave_up;
  if (++r.ends > 1) violate(Invariant::ends_once, fmt::format("{} {} ended {} times", r.method, r.path, r.ends));
}

void Ledger::on_log(std::string_view line) {
  const std::string_view path = line.substr(0, line.find(' '));
  if (!path.starts_with('/')) return;  // ended before its head was there
  RequestFacts& r = at(id_of(path));
  if (++r.log_lines > 1) violate(Invariant::ends_once, fmt::format("{} lines of access log: {}", r.log_lines, line));
}

}  // namespace pillion::sim
