// The HTTP filters of one exchange, in the order of the configuration; responses take them in reverse. The exchange
// gives it what arrives, runs it, and takes what all filters have let pass:
//
//   codec ──► receive() ──► [in │ filter 0 │ held] ──► [in │ filter 1 │ held] ──► … ──► body(), head_passed(), ended()
//
// Each filter has a queue before it (what it has not seen) and behind it (what it has seen and keeps back). One pass
// over the filters moves everything as far as it goes; a filter that holds or stops only blocks what is left of it.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxy/filter/filter.h"

namespace pillion::filter {

// A worker's ids of filters' counters, by the stat_prefix of the connection manager.
class FilterStatCache {
 public:
  std::span<const StatId> ids(StatRegistry& registry, const std::string& stat_prefix,
                              std::span<const FilterStat> stats);

 private:
  std::map<std::pair<std::string, const FilterStat*>, std::vector<StatId>> ids_;
};

// What the exchanges of a connection have in common; empty where there is only the router. Borrows the manager.
class ChainPlan {
 public:
  ChainPlan(const config::HttpConnectionManager& manager, StatRegistry& registry, FilterStatCache& cache);
  bool empty() const { return entries_.empty(); }

 private:
  friend class FilterChain;
  struct Entry {
    const config::HttpFilterEntry* entry;
    const HttpFilterConfig* config;
    std::span<const StatId> stats;
  };
  std::vector<Entry> entries_;
};

class FilterChain final {
 public:
  // Of a body that a filter holds in order to see all of it. More is answered with 413 (a request) or 500 (a response).
  static constexpr size_t kHeldBytesMax = 1024 * 1024;

  // Null where no filter is enabled. A filter is enabled unless its entry is disabled; the most specific level of the
  // route that speaks of it has the last word.
  static std::unique_ptr<FilterChain> make(const ChainPlan& plan, ChainHost& host, event::Executor& executor,
                                           Arena& arena, ExchangeRecord& record, const config::FormatSource& values,
                                           const RouteLevels& levels);
  FilterChain(const FilterChain&) = delete;
  FilterChain& operator=(const FilterChain&) = delete;

  // What came in since the last call. `ended`: nothing follows except `trailers`, which may be null and stay in place.
  void receive(Direction direction, Chain&& body, bool ended, http::HeaderMap* trailers);
  // Moves everything as far as the filters let it, the head first. The verdict is reply, reset, or proceed for anything
  // else; after the first two the direction is not run again.
  Verdict run(http::RequestHead& head) { return run(Direction::request, &head, nullptr); }
  Verdict run(http::ResponseHead& head) { return run(Direction::response, nullptr, &head); }

  bool sees_response() const { return (hooks_ & Hook::all_of_response) != 0; }
  bool has_begun(Direction direction) const { return flow(direction).begun; }
  bool head_passed(Direction direction) const { return flow(direction).head_at == slots_.size(); }
  Chain& body(Direction direction) { return flow(direction).out; }  // what has passed, for the caller to take
  bool ended(Direction direction) const { return flow(direction).out_ended; }  // the end has passed, trailers included
  bool is_holding(Direction direction) const;                                  // some filter waits for more of the body
  size_t waiting_bytes(Direction direction) const;                             // received and not passed

  void on_informational(http::ResponseHead& head);
  void on_local_reply(const LocalReply& reply);
  void on_complete(const ExchangeRecord& record);  // once

 private:
  enum class State : uint8_t { flowing, holding, stopped };
  struct Stage {
    Chain in;    // not yet shown to the filter
    Chain held;  // shown, and not yet passed on
    State state = State::flowing;
    bool head_shown = false;
    bool in_ended = false;
    bool end_shown = false;
  };
  struct Slot {
    Slot(const FilterContext::Parts& parts, const FilterContext::RouteConfigs& route_configs,
         std::span<const StatId> stats)
        : context(parts, route_configs, stats) {}
    FilterContext context;
    std::unique_ptr<Filter> filter;  // after its context: it may hold tickets
    Hooks hooks = 0;
    Stage stages[2];  // by Direction
  };
  struct Flow {
    size_t head_at = 0;  // the place, in this direction's order, of the filter that has the head
    http::HeaderMap* trailers = nullptr;
    Chain out;
    bool out_ended = false;
    bool begun = false;
  };
  struct Heads {
    http::RequestHead* request;
    http::ResponseHead* response;
  };

  FilterChain(ChainHost& host, event::Executor& executor, Arena& arena, ExchangeRecord& record,
              const config::FormatSource& values, const RouteLevels& levels)
      : levels_(levels), parts_{host, executor, arena, record, values, levels_} {}

  Verdict run(Direction direction, http::RequestHead* request, http::ResponseHead* response);
  Verdict step(Direction direction, size_t place, const Heads& heads);
  Verdict show_head(Direction direction, Slot& slot, const Heads& heads);
  Verdict show_body(Direction direction, Slot& slot);
  Verdict show_trailers(Direction direction, Slot& slot);
  void pass_on(Direction direction, size_t place);
  Slot& slot_at(Direction direction, size_t place) const {
    return *slots_[direction == Direction::request ? place : slots_.size() - 1 - place];
  }
  Flow& flow(Direction direction) { return flows_[static_cast<size_t>(direction)]; }
  const Flow& flow(Direction direction) const { return flows_[static_cast<size_t>(direction)]; }

  RouteLevels levels_;
  FilterContext::Parts parts_;
  std::vector<std::unique_ptr<Slot>> slots_;
  Flow flows_[2];
  Hooks hooks_ = 0;  // of all filters
};

}  // namespace pillion::filter
