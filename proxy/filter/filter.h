// One HTTP filter of one exchange. A filter answers; it never acts on the stream: each hook returns a verdict, and the
// exchange does what it says. So no hook is ever re-entered, and a filter is never gone while it is being asked.
//
//   request:   filter 0 ──► filter 1 ──► … ──► the router        response:   the router ──► … ──► filter 1 ──► filter 0
//
// A filter that must wait (for a timer, for a service) takes a ticket, returns hold or stop, and is asked on_resume()
// once somebody has said Ticket::resume().
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "proxy/base/chain.h"
#include "proxy/base/error.h"
#include "proxy/base/stats.h"
#include "proxy/base/weak.h"
#include "proxy/config/listener.h"
#include "proxy/event/executor.h"
#include "proxy/filter/local_reply.h"
#include "proxy/filter/record.h"
#include "proxy/http/message.h"

namespace pillion::filter {

class FilterContext;
class Ticket;

enum class Direction : uint8_t { request, response };

struct Verdict {
  enum class Kind : uint8_t {
    proceed,  // go on, with what was held back before
    hold,     // keep the message back here; the filter still sees the body, which is kept up to kHeldBytesMax
    stop,     // keep it back, and show nothing more until resumed; the sender is slowed down
    reply,    // answer with *answer, which walks back through the response hooks of all filters, as in Envoy
    reset,    // break the stream off without an answer
  };
  Kind kind = Kind::proceed;
  const LocalReply* answer = nullptr;  // in the exchange's arena
  Error why;                           // of reply and reset, for logs and flags

  static Verdict hold() { return {.kind = Kind::hold}; }
  static Verdict stop() { return {.kind = Kind::stop}; }
  static Verdict reply(const LocalReply& answer, const Error& why) {
    return {.kind = Kind::reply, .answer = &answer, .why = why};
  }
  static Verdict reset(const Error& why) { return {.kind = Kind::reset, .why = why}; }
};

// The hooks that a filter wants to be called; the others cost nothing. on_resume() needs no bit.
using Hooks = uint16_t;
struct Hook {
  static constexpr Hooks request_head = 1 << 0;
  static constexpr Hooks request_body = 1 << 1;
  static constexpr Hooks request_trailers = 1 << 2;
  static constexpr Hooks informational = 1 << 3;
  static constexpr Hooks response_head = 1 << 4;
  static constexpr Hooks response_body = 1 << 5;
  static constexpr Hooks response_trailers = 1 << 6;
  static constexpr Hooks local_reply = 1 << 7;
  static constexpr Hooks complete = 1 << 8;
  static constexpr Hooks all_of_response = response_head | response_body | response_trailers;
};

class Filter {
 public:
  virtual ~Filter() = default;
  virtual Hooks hooks() const = 0;  // asked once

  // `end`: nothing follows in that direction. A body comes in pieces, which a filter may change or take; the last may
  // be empty. A response can also be the answer to a request whose head this filter never saw: another filter, or the
  // proxy itself, answered it before.
  virtual Verdict on_request_head(http::RequestHead&, bool /*end*/) { return {}; }
  virtual Verdict on_request_body(Chain&, bool /*end*/) { return {}; }
  virtual Verdict on_request_trailers(http::HeaderMap&) { return {}; }
  virtual void on_informational(http::ResponseHead&) {}  // 1xx other than 100 and 101
  virtual Verdict on_response_head(http::ResponseHead&, bool /*end*/) { return {}; }
  virtual Verdict on_response_body(Chain&, bool /*end*/) { return {}; }
  virtual Verdict on_response_trailers(http::HeaderMap&) { return {}; }
  // After hold or stop, once its ticket was used: what was waited for is there.
  virtual Verdict on_resume(Direction) { return {}; }
  // The answer will be ours; before its head goes to on_response_head().
  virtual void on_local_reply(const LocalReply&) {}
  // The exchange is over, however it ended: exactly once, last, and before the access log.
  virtual void on_complete(const ExchangeRecord&) {}
};

// A counter or gauge of a filter: "fault.aborts_injected" becomes http.<stat_prefix>.fault.aborts_injected.
struct FilterStat {
  std::string_view leaf;
  StatKind kind = StatKind::counter;
};

// The compiled configuration of an HTTP filter's entry in the chain. Immutable, shared by all workers, and alive as
// long as an exchange that uses it.
class HttpFilterConfig : public config::FilterConfig {
 public:
  virtual std::unique_ptr<Filter> make(FilterContext& context) const = 0;
  virtual std::span<const FilterStat> stats() const { return {}; }
};

// What the exchange tells the filters about where its request goes; null where there is no route.
struct RouteLevels {
  const config::WeightedCluster* cluster = nullptr;
  const config::Route* route = nullptr;
  const config::VirtualHost* virtual_host = nullptr;
  const config::RouteConfiguration* table = nullptr;
  std::string_view cluster_name;  // "": the route answers by itself, or there is none
};

class ChainHost {
 public:
  virtual void on_filter_resumed() = 0;  // run the chain again, later in the turn

 protected:
  ~ChainHost() = default;
};

// What a filter works with; made before it, and gone after it.
class FilterContext : public WeakTarget<FilterContext> {
 public:
  struct Parts {
    ChainHost& host;
    event::Executor& executor;
    Arena& arena;
    ExchangeRecord& record;
    const config::FormatSource& values;
    const RouteLevels& levels;
  };
  // One for each level of the route, the most specific first; null where a level has none.
  using RouteConfigs = std::array<const config::FilterConfig*, 4>;

  FilterContext(const Parts& parts, const RouteConfigs& route_configs, std::span<const StatId> stats)
      : parts_(parts), route_configs_(route_configs), stats_(stats) {}
  FilterContext(const FilterContext&) = delete;
  FilterContext& operator=(const FilterContext&) = delete;

  event::Executor& executor() const { return parts_.executor; }   // time, timers, chance, chunks
  Arena& arena() const { return parts_.arena; }                   // lives as long as the exchange
  const ExchangeRecord& record() const { return parts_.record; }  // who asks, over what, which route
  std::string_view cluster_name() const { return parts_.levels.cluster_name; }
  // The most specific configuration of this filter among those of the weighted cluster, the route, the virtual host and
  // the table; null where none has one.
  const config::FilterConfig* route_config() const {
    for (const config::FilterConfig* config : route_configs_) {
      if (config != nullptr) return config;
    }
    return nullptr;
  }
  const RouteConfigs& route_configs() const { return route_configs_; }
  const config::FormatSource& values() const { return parts_.values; }  // of format operators, as they are now

  Ticket ticket(Direction direction);
  // By the place in HttpFilterConfig::stats().
  void count(size_t stat) { parts_.executor.stats.add(stats_[stat]); }
  void uncount(size_t stat) { parts_.executor.stats.sub(stats_[stat]); }
  void tell_delay_injected() { parts_.record.delay_injected = true; }  // flag DI

 private:
  friend class Ticket;
  friend class FilterChain;
  const Parts& parts_;
  RouteConfigs route_configs_;
  std::span<const StatId> stats_;
  bool resumed_[2] = {false, false};  // by Direction: its ticket was used
};

// The right to resume one filter that waits. Whoever is waited for keeps it; a ticket that is dropped, or whose filter
// is gone, does nothing.
class Ticket {
 public:
  Ticket() = default;
  Ticket(FilterContext& context, Direction direction) : context_(context), direction_(direction) {}
  Ticket(Ticket&& other) noexcept : direction_(other.direction_) { take(other); }
  Ticket& operator=(Ticket&& other) noexcept {
    direction_ = other.direction_;
    take(other);
    return *this;
  }
  explicit operator bool() const { return static_cast<bool>(context_); }
  // Marks the exchange ready; the filter is asked later in the turn, never from inside. Uses the ticket up.
  void resume();

 private:
  void take(Ticket& other);
  WeakRef<FilterContext> context_;
  Direction direction_ = Direction::request;
};

}  // namespace pillion::filter
