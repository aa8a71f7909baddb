#include "proxy/filter/chain.h"

#include <array>

#include "proxy/base/check.h"

namespace pillion::filter {
namespace {

using Kind = Verdict::Kind;

// From the most specific level to the least.
std::array<const config::PerFilterConfig*, 4> per_filter_of(const RouteLevels& levels) {
  return {levels.cluster != nullptr ? &levels.cluster->per_filter : nullptr,
          levels.route != nullptr ? &levels.route->per_filter : nullptr,
          levels.virtual_host != nullptr ? &levels.virtual_host->per_filter : nullptr,
          levels.table != nullptr ? &levels.table->per_filter : nullptr};
}

// What the route says of one filter: the word of the most specific level that speaks of it at all, and the
// configurations. One level may only enable it, and leave its configuration to another.
struct RouteWord {
  std::optional<bool> disabled;
  FilterContext::RouteConfigs configs{};
};

RouteWord word_of(const RouteLevels& levels, const std::string& name) {
  RouteWord out;
  const auto all = per_filter_of(levels);
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == nullptr || all[i]->empty()) continue;
    const auto found = all[i]->find(name);
    if (found == all[i]->end()) continue;
    if (!out.disabled) out.disabled = found->second.disabled;
    out.configs[i] = found->second.config.get();
  }
  return out;
}

}  // namespace

// === what a connection knows ===

std::span<const StatId> FilterStatCache::ids(StatRegistry& registry, const std::string& stat_prefix,
                                             std::span<const FilterStat> stats) {
  if (stats.empty()) return {};
  std::vector<StatId>& ids = ids_[{stat_prefix, stats.data()}];
  if (ids.empty()) {
    const StatScope scope("http", "envoy_http_conn_manager_prefix", stat_prefix);
    for (const FilterStat& stat : stats) {
      const StatName name = scope.name(stat.leaf);
      ids.push_back(stat.kind == StatKind::gauge ? registry.gauge(name) : registry.counter(name));
    }
  }
  return ids;
}

ChainPlan::ChainPlan(const config::HttpConnectionManager& manager, StatRegistry& registry, FilterStatCache& cache) {
  entries_.reserve(manager.filters.size());
  for (const config::HttpFilterEntry& entry : manager.filters) {
    const auto* const config = dynamic_cast<const HttpFilterConfig*>(entry.config.get());
    PILLION_CHECK(config != nullptr);  // the table of filters makes nothing else for this list
    entries_.push_back({&entry, config, cache.ids(registry, manager.stat_prefix, config->stats())});
  }
}

// === making ===

std::unique_ptr<FilterChain> FilterChain::make(const ChainPlan& plan, ChainHost& host, event::Executor& executor,
                                               Arena& arena, ExchangeRecord& record, const config::FormatSource& values,
                                               const RouteLevels& levels) {
  std::unique_ptr<FilterChain> chain;
  for (const ChainPlan::Entry& entry : plan.entries_) {
    const RouteWord word = word_of(levels, entry.entry->name);
    if (word.disabled.value_or(entry.entry->disabled)) continue;
    if (chain == nullptr) chain.reset(new FilterChain(host, executor, arena, record, values, levels));
    Slot& slot = *chain->slots_.emplace_back(std::make_unique<Slot>(chain->parts_, word.configs, entry.stats));
    slot.filter = entry.config->make(slot.context);
    slot.hooks = slot.filter->hooks();
    chain->hooks_ |= slot.hooks;
  }
  return chain;
}

// === running ===

void FilterChain::receive(Direction direction, Chain&& body, bool ended, http::HeaderMap* trailers) {
  Stage& first = slot_at(direction, 0).stages[static_cast<size_t>(direction)];
  first.in.append(std::move(body));
  if (!ended) return;
  first.in_ended = true;
  flow(direction).trailers = trailers;
}

Verdict FilterChain::run(Direction direction, http::RequestHead* request, http::ResponseHead* response) {
  flow(direction).begun = true;
  const Heads heads{request, response};
  for (size_t place = 0; place < slots_.size(); ++place) {
    const Verdict verdict = step(direction, place, heads);
    if (verdict.kind == Kind::reply || verdict.kind == Kind::reset) return verdict;
  }
  return {};
}

// One filter: what it waited for, then what has arrived at it.
Verdict FilterChain::step(Direction direction, size_t place, const Heads& heads) {
  Slot& slot = slot_at(direction, place);
  Stage& stage = slot.stages[static_cast<size_t>(direction)];
  const auto take = [&stage](const Verdict& verdict) {
    if (verdict.kind == Kind::proceed) stage.state = State::flowing;
    if (verdict.kind == Kind::hold) stage.state = State::holding;
    if (verdict.kind == Kind::stop) stage.state = State::stopped;
    return verdict.kind != Kind::reply && verdict.kind != Kind::reset;
  };
  const bool resumed = std::exchange(slot.context.resumed_[static_cast<size_t>(direction)], false);
  if (stage.state != State::flowing && resumed) {
    const Verdict verdict = slot.filter->on_resume(direction);
    if (!take(verdict)) return verdict;
    if (stage.state == State::flowing && stage.head_shown) pass_on(direction, place);  // what was held back before
  }
  if (stage.state != State::stopped && !stage.head_shown && flow(direction).head_at == place) {
    const Verdict verdict = show_head(direction, slot, heads);
    if (!take(verdict)) return verdict;
    if (stage.state == State::flowing) pass_on(direction, place);  // whatever becomes of the body
  }
  if (!stage.head_shown) return {};
  const bool trailers = flow(direction).trailers != nullptr;
  const bool last = stage.in_ended && !trailers && !stage.end_shown;
  if (stage.state != State::stopped && (!stage.in.empty() || last)) {
    const Verdict verdict = show_body(direction, slot);
    if (!take(verdict)) return verdict;
  }
  if (stage.state != State::stopped && stage.in_ended && trailers && !stage.end_shown) {
    const Verdict verdict = show_trailers(direction, slot);
    if (!take(verdict)) return verdict;
  }
  if (stage.state == State::flowing) pass_on(direction, place);
  return {};
}

Verdict FilterChain::show_head(Direction direction, Slot& slot, const Heads& heads) {
  Stage& stage = slot.stages[static_cast<size_t>(direction)];
  stage.head_shown = true;
  const bool end = stage.in_ended && stage.in.empty() && flow(direction).trailers == nullptr;
  stage.end_shown = end;
  if (direction == Direction::request) {
    if (slot.hooks & Hook::request_head) return slot.filter->on_request_head(*heads.request, end);
  } else {
    if (slot.hooks & Hook::response_head) return slot.filter->on_response_head(*heads.response, end);
  }
  return {};
}

Verdict FilterChain::show_body(Direction direction, Slot& slot) {
  Stage& stage = slot.stages[static_cast<size_t>(direction)];
  const bool end = stage.in_ended && flow(direction).trailers == nullptr;
  stage.end_shown = end;
  Chain piece = std::move(stage.in);
  const bool request = direction == Direction::request;
  // Who does not look at the body has no say about it: what it decided before still counts.
  Verdict verdict{.kind = stage.state == State::holding ? Kind::hold : Kind::proceed};
  if (slot.hooks & (request ? Hook::request_body : Hook::response_body)) {
    verdict = request ? slot.filter->on_request_body(piece, end) : slot.filter->on_response_body(piece, end);
  }
  stage.held.append(std::move(piece));
  return verdict;
}

Verdict FilterChain::show_trailers(Direction direction, Slot& slot) {
  Stage& stage = slot.stages[static_cast<size_t>(direction)];
  stage.end_shown = true;
  http::HeaderMap& trailers = *flow(direction).trailers;
  const bool request = direction == Direction::request;
  if (slot.hooks & (request ? Hook::request_trailers : Hook::response_trailers)) {
    return request ? slot.filter->on_request_trailers(trailers) : slot.filter->on_response_trailers(trailers);
  }
  return {.kind = stage.state == State::holding ? Kind::hold : Kind::proceed};
}

void FilterChain::pass_on(Direction direction, size_t place) {
  Flow& flow = this->flow(direction);
  Stage& stage = slot_at(direction, place).stages[static_cast<size_t>(direction)];
  if (flow.head_at == place) ++flow.head_at;
  const bool last = place + 1 == slots_.size();
  Stage* const next = last ? nullptr : &slot_at(direction, place + 1).stages[static_cast<size_t>(direction)];
  (last ? flow.out : next->in).append(std::move(stage.held));
  if (stage.in_ended && stage.end_shown) (last ? flow.out_ended : next->in_ended) = true;
}

bool FilterChain::is_holding(Direction direction) const {
  for (const auto& slot : slots_) {
    if (slot->stages[static_cast<size_t>(direction)].state == State::holding) return true;
  }
  return false;
}

size_t FilterChain::waiting_bytes(Direction direction) const {
  size_t bytes = 0;
  for (const auto& slot : slots_) {
    const Stage& stage = slot->stages[static_cast<size_t>(direction)];
    bytes += stage.in.size() + stage.held.size();
  }
  return bytes;
}

// === beside the flow ===

void FilterChain::on_informational(http::ResponseHead& head) {
  for (size_t place = 0; place < slots_.size(); ++place) {
    Slot& slot = slot_at(Direction::response, place);
    if (slot.hooks & Hook::informational) slot.filter->on_informational(head);
  }
}

void FilterChain::on_local_reply(const LocalReply& reply) {
  for (const auto& slot : slots_) {
    if (slot->hooks & Hook::local_reply) slot->filter->on_local_reply(reply);
  }
}

void FilterChain::on_complete(const ExchangeRecord& record) {
  for (const auto& slot : slots_) {
    if (slot->hooks & Hook::complete) slot->filter->on_complete(record);
  }
}

// === the ticket ===

Ticket FilterContext::ticket(Direction direction) {
  return Ticket(*this, direction);
}

void Ticket::take(Ticket& other) {
  context_.set(other.context_.get());
  other.context_.set(nullptr);
}

void Ticket::resume() {
  FilterContext* const context = context_.get();
  if (context == nullptr) return;
  context_.set(nullptr);
  context->resumed_[static_cast<size_t>(direction_)] = true;
  context->parts_.host.on_filter_resumed();
}

}  // namespace pillion::filter
