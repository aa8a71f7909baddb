#include "tests/sim/random_world.h"

#include <fmt/format.h>

#include "proxy/base/log.h"
#include "tests/sim/clock.h"
#include "tests/sim/moody_filter.h"
#include "tests/sim/pattern.h"

namespace pillion::sim {
namespace {

using config::RetryOn;

constexpr uint32_t bit(RetryOn on) {
  return static_cast<uint32_t>(on);
}
// What makes a request run again that may have run before.
constexpr uint32_t kRepeats = bit(RetryOn::server_error) | bit(RetryOn::gateway_error) | bit(RetryOn::reset) |
                              bit(RetryOn::retriable_4xx) | bit(RetryOn::retriable_status_codes);

Address address_of(uint32_t cluster, uint32_t endpoint) {
  return *Address::parse_ip(fmt::format("10.0.{}.{}", cluster + 1, endpoint + 1), 80);
}

}  // namespace

RandomOptions::RandomOptions(uint64_t s) : seed(s) {
  Random random(s * 7919 + 1);
  const auto between = [&](uint64_t low, uint64_t high) {
    return static_cast<uint32_t>(low + random.below(high - low + 1));
  };
  const auto us = [&](uint64_t low, uint64_t high) { return Duration{static_cast<int64_t>(between(low, high))}; };
  // One in three: three times as many of this fault.
  const auto rate = [&](uint32_t most) { return between(0, random.below(3) == 0 ? most : most / 3); };
  const bool is_bulk = random.below(6) == 0;  // few requests, large bodies, slow readers
  workers = between(1, 3);
  clusters = between(1, 3);
  endpoints = between(1, 6);
  requests = is_bulk ? between(8, 20) : between(40, 200);
  between_requests = is_bulk ? us(20'000, 200'000) : us(100, 20'000);
  connections = is_bulk ? between(1, 4) : between(2, 24);
  request_bytes_max = is_bulk ? 1'000'000 : between(0, 100'000);
  response_bytes_max = is_bulk ? 4'000'000 : between(0, 200'000);
  link.latency = us(50, 3'000);
  link.jitter = us(0, 2'000);
  link.window_bytes = between(8, 64) * 1024;
  // Small pieces make many events: only where bodies are small.
  const bool is_tiny = random.below(4) == 0 && !is_bulk;
  link.piece_bytes_max = is_tiny ? between(1, 60) : random.below(2) == 0 ? between(1000, 20'000) : 0;
  if (is_tiny) {
    request_bytes_max = between(0, 2'000);
    response_bytes_max = between(0, 4'000);
    requests = between(20, 60);
  }
  abandoned = rate(100);
  endless = rate(60);
  errors = rate(200);
  resets = rate(150);
  refusals = rate(100);
  hangs = rate(60);
  cuts = rate(100);
  closes = rate(100);
  trailers = rate(400);
  between_faults = us(5'000, 300'000);
  client_resets = rate(150);
  client_stalls = is_bulk ? 300 : rate(150);
  origin_stalls = rate(150);
  silences = rate(60);
  goaways = rate(150);
  updates = rate(200);
}

RandomWorld::RandomWorld(const RandomOptions& options)
    : options_(options),
      world_(options.seed),
      random_(options.seed ^ 0x5eed),
      client_node_(world_.add_node()),
      origin_node_(world_.add_node()) {
  set_clock(world_.now());
  const bool forgets = options.plant == Plant::forgets_timeouts;
  manager_.stat_prefix = "sim";
  manager_.rds_name = "routes";
  manager_.idle_timeout = Duration{3'000'000};
  manager_.stream_idle_timeout = forgets ? Duration{} : Duration{4'000'000};
  manager_.request_timeout = forgets ? Duration{} : Duration{8'000'000};
  manager_.request_headers_timeout = Duration{5'000'000};
  manager_.h2_stream_window_bytes = 64 * 1024;
  manager_.h2_connection_window_bytes = 256 * 1024;
  manager_.max_requests_per_connection = chance(300) ? between(1, 20) : 0;
  config::AccessLog log;
  log.path = "log";
  log.text = *config::Format::compile("%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS%");
  manager_.access_logs.push_back(std::move(log));
  for (uint32_t i = 0; i < options_.filters; ++i) {
    manager_.filters.push_back({fmt::format("moody{}", i), "moody", std::make_shared<MoodyConfig>(), false});
  }
  make_clusters();
  for (uint32_t i = 0; i < options_.workers; ++i) {
    for (const uint16_t port : {8001, 8002}) {
      ports_.push_back(*Address::parse_ip(fmt::format("10.9.0.{}", i + 1), port));
      network_.at(ports_.back()).link = options_.link;
    }
    workers_.push_back(std::make_unique<Worker>(network_, world_.add_node(), shared_, manager_, ledger_, ports_[2 * i],
                                                ports_[2 * i + 1]));
    workers_.back()->logs_twice = options_.plant == Plant::logs_twice;
    workers_.back()->never_congested = options_.plant == Plant::never_congested;
    workers_.back()->dialer.never_congested = options_.plant == Plant::never_congested;
    workers_.back()->dialer.loses_one_in = options_.plant == Plant::loses_dials ? 10 : 0;
  }
  publish();
}

RandomWorld::~RandomWorld() {
  set_clock(world_.now());
}

// === configuration ===

void RandomWorld::make_clusters() {
  for (uint32_t c = 0; c < options_.clusters; ++c) {
    ClusterPlan& plan = plans_.emplace_back();
    plan.name = fmt::format("c{}", c);
    plan.http2 = chance(500);
    plan.limits = {.connections_max = 0, .pending_max = 0, .requests_max = 0, .retries_max = 0};
    plan.outlier = {.consecutive_5xx = between(1, 5),
                    .consecutive_gateway_failure = between(1, 5),
                    .enforcing_consecutive_gateway_failure = between(0, 100),
                    .split_external_local_origin_errors = chance(300),
                    .interval = about(Duration{1'000'000}),
                    .base_ejection_time = about(Duration{1'000'000}),
                    .max_ejection_time = about(Duration{5'000'000}),
                    .max_ejection_time_jitter = about(Duration{100'000}),
                    .max_ejection_percent = between(0, 80),
                    .always_eject_one_host = chance(300)};
    choose_retry(plan);
    for (uint32_t e = 0; e < options_.endpoints; ++e) {
      plan.places.push_back(std::make_unique<Place>());
      Place& place = *plan.places.back();
      place.address = address_of(c, e);
      place.origin = std::make_unique<Origin>(network_, origin_node_, place.address, plan.http2);
      Host& host = place.origin->host();
      host.link = options_.link;
      if (plan.http2) host.alpn = "h2";
      const bool http2 = plan.http2;
      place.origin->on_head = [this](const SeenRequest& seen) {
        world_.trace(0x30, Ledger::id_of(seen.path));
        ledger_.on_head(seen.path);
      };
      place.origin->script = [this, &place, http2](const SeenRequest& seen) { return react(place, http2, seen); };
    }
  }
}

void RandomWorld::choose_retry(ClusterPlan& plan) {
  static constexpr uint32_t kOn[] = {bit(RetryOn::server_error),
                                     bit(RetryOn::gateway_error) | bit(RetryOn::reset),
                                     bit(RetryOn::connect_failure) | bit(RetryOn::refused_stream),
                                     bit(RetryOn::reset_before_request),
                                     bit(RetryOn::reset),
                                     0};
  config::RetryPolicy& retry = plan.retry;
  retry.on = kOn[random_.below(std::size(kOn))];
  retry.retries_max = between(0, 4);
  retry.per_try_timeout = chance(300) ? about(Duration{500'000}) : Duration{};
  retry.backoff_base = Duration{between(1'000, 20'000)};
  retry.backoff_max = retry.backoff_base * 10;
  retry.previous_hosts = chance(500);
  retry.host_selection_attempts = between(1, 5);
}

void RandomWorld::allow(RequestFacts& facts, const config::RetryPolicy& policy) const {
  const uint32_t retries = policy.on == 0 ? 0 : policy.retries_max;
  facts.retries_allowed = std::max(facts.retries_allowed, retries);
  facts.may_repeat = facts.may_repeat || http::is_idempotent(facts.method) || (policy.on & kRepeats) != 0;
}

std::shared_ptr<const config::Cluster> RandomWorld::cluster_config(ClusterPlan& plan) {
  auto c = std::make_shared<config::Cluster>();
  c->name = c->eds_name = plan.name;
  c->type = config::Cluster::Type::eds;
  c->lb = static_cast<config::Cluster::Lb>(random_.below(3));
  c->protocol = !plan.http2        ? config::Cluster::Protocol::http1
                : random_.below(2) ? config::Cluster::Protocol::http2
                                   : config::Cluster::Protocol::automatic;
  c->connect_timeout = Duration{between(20'000, 500'000)};
  c->panic_threshold_percent = between(0, 60);
  c->idle_timeout = Duration{between(300'000, 3'000'000)};
  c->max_connection_duration = chance(200) ? about(Duration{2'000'000}) : Duration{};
  c->max_requests_per_connection = chance(200) ? between(1, 10) : 0;
  c->h2_concurrent_streams_max = between(1, 100);
  c->h2_stream_window_bytes = 64 * 1024;
  c->h2_connection_window_bytes = 256 * 1024;
  if (chance(300)) {
    c->h2_keepalive_interval = Duration{1'000'000};
    c->h2_keepalive_timeout = Duration{300'000};
  }
  const bool is_tight = chance(600);
  config::CircuitBreaker& b = c->breakers[0];
  b.connections_max = between(1, is_tight ? 4 : 50);
  b.pending_max = between(1, is_tight ? 6 : 100);
  b.requests_max = between(1, is_tight ? 8 : 100);
  b.retries_max = between(0, is_tight ? 3 : 10);
  plan.limits.connections_max = std::max(plan.limits.connections_max, b.connections_max);
  plan.limits.pending_max = std::max(plan.limits.pending_max, b.pending_max);
  plan.limits.requests_max = std::max(plan.limits.requests_max, b.requests_max);
  plan.limits.retries_max = std::max(plan.limits.retries_max, b.retries_max);
  c->outlier = plan.outlier;
  switch (options_.plant) {
    case Plant::ignores_connections: b.connections_max = UINT32_MAX; break;
    case Plant::ignores_pending: b.pending_max = UINT32_MAX; break;
    case Plant::ignores_requests: b.requests_max = UINT32_MAX; break;
    case Plant::ignores_retries: b.retries_max = UINT32_MAX; break;
    case Plant::ejects_all: c->outlier->max_ejection_percent = 100; break;
    default: break;
  }
  c->hash = ++plan.version;
  return c;
}

std::shared_ptr<const config::EndpointAssignment> RandomWorld::assignment(ClusterPlan& plan) {
  auto a = std::make_shared<config::EndpointAssignment>();
  a->name = plan.name;
  plan.population_before = plan.population;
  plan.population = 0;
  const uint32_t localities = between(1, 2);
  for (uint32_t i = 0; i < localities; ++i) {
    config::LocalityEndpoints& l = a->localities.emplace_back();
    l.locality.zone = fmt::format("z{}", i);
    l.priority = chance(300) ? i : 0;
  }
  for (const auto& place : plan.places) {
    if (plan.population > 0 && chance(200)) continue;
    config::Endpoint e;
    e.address = place->address;
    e.weight = between(1, 4);
    a->localities[random_.below(localities)].endpoints.push_back(std::move(e));
    ++plan.population;
  }
  return a;
}

std::shared_ptr<const config::RouteConfiguration> RandomWorld::routes() {
  auto table = std::make_shared<config::RouteConfiguration>();
  table->name = "routes";
  config::VirtualHost& host = table->virtual_hosts.emplace_back();
  host.name = "all";
  host.domains = {"*"};
  for (const ClusterPlan& plan : plans_) {
    config::Route& route = host.routes.emplace_back();
    route.name = plan.name;
    route.match.path.text = "/" + plan.name + "/";
    config::RouteAction action;
    action.clusters.push_back({.cluster = plan.name});
    action.timeout = options_.plant == Plant::forgets_timeouts ? Duration{} : Duration{between(200'000, 5'000'000)};
    action.retry = plan.retry;
    if (options_.plant == Plant::retries_without_limit) action.retry->retries_max += 20;
    if (options_.plant == Plant::retries_what_ran || options_.plant == Plant::ignores_retries) {
      action.retry->on |= kRepeats;
      action.retry->retries_max += 2;
    }
    route.action = std::move(action);
  }
  table->build_index();
  return table;
}

void RandomWorld::publish() {
  auto s = std::make_shared<config::Snapshot>();
  for (ClusterPlan& plan : plans_) {
    s->clusters.insert_or_assign(plan.name, cluster_config(plan));
    s->endpoints.insert_or_assign(plan.name, assignment(plan));
  }
  s->routes.insert_or_assign("routes", routes());
  for (const auto& worker : workers_) worker->publish(s);
  snapshot_ = std::move(s);
}

// Some of it changes; the rest is shared with what was.
void RandomWorld::on_update() {
  auto s = std::make_shared<config::Snapshot>(*snapshot_);
  ++s->sequence;
  ClusterPlan& plan = plans_[random_.below(plans_.size())];
  switch (random_.below(3)) {
    case 0: s->endpoints.insert_or_assign(plan.name, assignment(plan)); break;
    case 1: s->clusters.insert_or_assign(plan.name, cluster_config(plan)); break;
    default:
      choose_retry(plan);
      s->routes.insert_or_assign("routes", routes());
      for (RequestFacts& facts : ledger_.requests) {
        if (facts.log_lines == 0 && facts.path.starts_with("/" + plan.name + "/")) allow(facts, plan.retry);
      }
  }
  world_.trace(0x40, s->sequence);
  for (const auto& worker : workers_) worker->publish(s);
  snapshot_ = std::move(s);
}

// === requests ===

ClientConnection* RandomWorld::connection_for(bool http2) {
  std::vector<ClientConnection*> usable;
  for (const auto& c : clients_) {
    if (c->is_http2() == http2 && c->can_start()) usable.push_back(c.get());
  }
  if (!usable.empty()) return usable[random_.below(usable.size())];
  std::erase_if(clients_, [](const auto& c) { return c->is_gone() && c->is_idle(); });
  if (clients_.size() < options_.connections) {
    const size_t worker = random_.below(workers_.size());
    clients_.push_back(std::make_unique<ClientConnection>(network_, client_dialer_, client_node_, ledger_,
                                                          ports_[2 * worker + (http2 ? 1 : 0)], http2));
  }
  return nullptr;
}

void RandomWorld::on_request() {
  if (ledger_.requests.size() >= options_.requests) return;
  request_timer_.start_after(world_.network, about(options_.between_requests));
  ClientConnection* const connection = connection_for(chance(500));
  if (connection == nullptr) return;
  static constexpr const char* kMethods[] = {"GET", "GET", "POST", "POST", "PUT", "DELETE", "HEAD"};
  ClusterPlan& cluster = plans_[random_.below(plans_.size())];
  RequestPlan plan;
  plan.id = ledger_.requests.size();
  plan.method = kMethods[random_.below(std::size(kMethods))];
  plan.path = fmt::format("/{}/{}", cluster.name, plan.id);
  if ((plan.method == "POST" || plan.method == "PUT") && options_.request_bytes_max > 0) {
    plan.body_bytes = random_.below(options_.request_bytes_max + 1);
    plan.piece_bytes = chance(500) ? 16 * 1024 : 1 + random_.below(8 * 1024);
    plan.between_pieces = chance(400) ? about(Duration{2'000}) : Duration{};
    plan.never_ends = chance(options_.endless);
    plan.is_chunked = chance(400);
  }
  plan.patience = chance(options_.abandoned) ? about(Duration{100'000}) : kPatience;
  RequestFacts facts;
  facts.path = plan.path;
  facts.method = plan.method;
  facts.started = world_.now();
  allow(facts, cluster.retry);
  ledger_.requests.push_back(std::move(facts));
  world_.trace(0x50, plan.id);
  connection->start(std::move(plan));
}

Reaction RandomWorld::react(Place& place, bool http2, const SeenRequest& seen) {
  using Kind = Reaction::Kind;
  const uint64_t id = Ledger::id_of(seen.path);
  if (!is_pattern(id, 0, seen.body)) {
    ledger_.violate(Invariant::whole_responses, fmt::format("the origin's request {} has a wrong body", seen.path));
  }
  Reaction r;
  r.body = pattern(id, random_.below(options_.response_bytes_max + 1));
  if (r.body.empty()) r.body_bytes = 0;
  r.delay = Duration{between(0, 20'000)};
  if (chance(100)) r.delay = about(Duration{500'000});
  r.is_chunked = chance(400);
  r.close_after = chance(options_.closes);
  r.headers = {{"x-sim-id", std::to_string(id)}, {"x-sim-size", std::to_string(r.body.size())}};
  if (chance(options_.trailers) && (http2 || r.is_chunked)) r.trailers = {{"x-sim-trailer", "here"}};
  const bool is_failing = place.mood == Mood::failing;
  if (is_failing || chance(options_.errors)) r.status = chance(500) ? 503 : 500;
  if (place.mood == Mood::resetting || chance(options_.resets)) r.kind = Kind::reset;
  if (chance(options_.refusals)) r.kind = Kind::refuse;
  if (chance(options_.cuts)) r.kind = chance(500) ? Kind::cut_in_body : Kind::fin_in_body;
  if (chance(options_.closes / 2)) r.kind = Kind::close;
  if (place.mood == Mood::hanging || chance(options_.hangs)) r.kind = Kind::hang;
  if (is_calm_) r.kind = Kind::answer;
  if (options_.plant == Plant::cuts_responses && r.kind == Kind::cut_in_body) {
    r.kind = Kind::answer;
    r.body.resize(r.body.size() / 2);
  }
  if (options_.plant == Plant::mixes_responses && chance(50)) r.headers[0].second = std::to_string(id + 1);
  if (r.kind != Kind::refuse || !http2) ledger_.on_execution(seen.path);
  return r;
}

// === faults ===

void RandomWorld::on_fault() {
  if (is_calm_) return;
  fault_timer_.start_after(world_.network, about(options_.between_faults));
  drop_silent_clients();
  uint32_t dice = static_cast<uint32_t>(random_.below(1000));
  const auto is = [&](uint32_t share) {
    const bool hit = dice < share;
    dice = hit ? 1000 : dice - share;
    return hit;
  };
  if (dice < 1000 && is(options_.updates)) return on_update();
  const bool goes = is(options_.client_resets);
  const bool stalls = !goes && is(options_.client_stalls);
  if (goes || stalls) {
    if (clients_.empty()) return;
    ClientConnection& client = *clients_[random_.below(clients_.size())];
    if (stalls) return client.stall(about(Duration{1'500'000}));
    return client.close(chance(500));
  }
  if (is(options_.silences)) {
    if (network_.links.empty()) return;
    const auto link = network_.links[random_.below(network_.links.size())].lock();
    if (link != nullptr) link->silence();
    return;
  }
  ClusterPlan& plan = plans_[random_.below(plans_.size())];
  Place& place = *plan.places[random_.below(plan.places.size())];
  if (is(options_.origin_stalls)) {
    if (stalled_ != nullptr) return;
    stalled_ = place.origin.get();
    stalled_->stall(true);
    return stall_timer_.start_after(world_.network, about(Duration{1'000'000}));
  }
  if (is(options_.goaways)) {
    if (chance(300)) return workers_[random_.below(workers_.size())]->drain();
    return chance(500) ? place.origin->drain_all() : place.origin->close_all();
  }
  on_mood_change();
}

// A client does not wait for ever on a connection that says nothing; the proxy never hears of it.
void RandomWorld::drop_silent_clients() {
  for (const auto& client : clients_) {
    LinkEnd* const end = client->link_end();
    if (end != nullptr && !client->is_gone() && end->link().is_silent() && chance(300)) client->close(true);
  }
}

void RandomWorld::on_mood_change() {
  ClusterPlan& plan = plans_[random_.below(plans_.size())];
  Place& place = *plan.places[random_.below(plan.places.size())];
  place.mood = chance(400) ? Mood::well : static_cast<Mood>(1 + random_.below(5));
  if (place.mood == Mood::refusing && chance(500)) place.origin->reset_all();  // the process died
  place.origin->host().fault = place.mood == Mood::refusing      ? Host::Fault::refuse
                               : place.mood == Mood::unreachable ? Host::Fault::unreachable
                                                                 : Host::Fault::none;
  place.origin->answers_early = chance(150);
  world_.trace(0x60, static_cast<uint64_t>(place.mood));
}

void RandomWorld::on_origin_stall_over() {
  std::exchange(stalled_, nullptr)->stall(false);
}

void RandomWorld::heal() {
  is_calm_ = true;
  fault_timer_.stop();
  for (ClusterPlan& plan : plans_) {
    for (const auto& place : plan.places) {
      place->mood = Mood::well;
      place->origin->host().fault = Host::Fault::none;
    }
  }
}

// === the run ===

bool RandomWorld::all_ended() const {
  for (const RequestFacts& r : ledger_.requests) {
    if (r.ends == 0) return false;
  }
  return true;
}

RandomResult RandomWorld::run() {
  constexpr Duration kLoadMax{60'000'000};
  request_timer_.start_after(world_.network, Duration{1});
  fault_timer_.start_after(world_.network, about(options_.between_faults));
  const Instant end = world_.now() + kLoadMax;
  while (ledger_.requests.size() < options_.requests && world_.now() < end) turn(end);
  heal();
  const Instant last = world_.now() + 2 * kPatience;
  while (!all_ended() && world_.now() < last) turn(last);
  for (const auto& client : clients_) client->close(false);
  advance(Duration{200'000'000});  // idle timeouts
  check_ends();
  check_nothing_left();
  result_.elapsed = world_.elapsed();
  for (const RequestFacts& r : ledger_.requests) result_.whole += r.was_whole ? 1 : 0;
  result_.requests = ledger_.requests.size();
  for (const ClusterPlan& plan : plans_) {
    const std::string prefix = "cluster." + plan.name + ".";
    result_.retries += world_.stat(prefix + "upstream_rq_retry");
    result_.replays += world_.stat(prefix + "upstream_rq_safe_replay");
    result_.ejections += world_.stat(prefix + "outlier_detection.ejections_enforced_total");
  }
  result_.paused = world_.stat("http.sim.downstream_flow_control_paused_reading_total");
  check_nothing_held();
  result_.trace_hash = world_.trace_hash();
  result_.violations = ledger_.violations;
  for (size_t i = 0; i < std::size(result_.counts); ++i) result_.counts[i] = ledger_.count(static_cast<Invariant>(i));
  return result_;
}

RandomResult run_random_world(uint64_t seed, Plant plant, uint32_t filters) {
  set_log_level(LogLevel::off);
  RandomOptions options(seed);
  options.plant = plant;
  options.filters = filters;
  RandomWorld world(options);
  return world.run();
}

}  // namespace pillion::sim
