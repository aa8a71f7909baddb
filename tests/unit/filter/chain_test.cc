#include "proxy/filter/chain.h"

#include <doctest/doctest.h>

#include <functional>
#include <string>

using namespace pillion;
using namespace pillion::filter;

namespace {

using Answers = std::vector<Verdict>;

// What one planted filter does; outlives it.
struct Plan {
  explicit Plan(std::string name, Hooks hooks = 0xffff) : name(std::move(name)), hooks(hooks) {}
  std::string name;
  Hooks hooks;
  std::map<std::string, Answers> answers;  // by hook, one after the other; then proceed
  std::function<void(Chain&)> on_body = [](Chain&) {};
  FilterContext* context = nullptr;
  int alive = 0;
};

// Everything that happened, in order: "a.head a.body(3) …".
struct Story {
  std::string told;
  void tell(const Plan& plan, const std::string& what) { told += (told.empty() ? "" : " ") + plan.name + "." + what; }
  std::string take() { return std::exchange(told, {}); }
};

class Planted final : public Filter {
 public:
  Planted(Plan& plan, Story& story, FilterContext& context) : plan_(plan), story_(story) {
    plan.context = &context;
    ++plan.alive;
  }
  ~Planted() override { --plan_.alive; }
  Hooks hooks() const override { return plan_.hooks; }
  Verdict on_request_head(http::RequestHead& head, bool end) override {
    head.headers.add("x-seen", plan_.name);
    return say("head", end);
  }
  Verdict on_request_body(Chain& body, bool end) override { return say_body("body", body, end); }
  Verdict on_request_trailers(http::HeaderMap&) override { return say("trailers", false); }
  void on_informational(http::ResponseHead&) override { story_.tell(plan_, "1xx"); }
  Verdict on_response_head(http::ResponseHead&, bool end) override { return say("HEAD", end); }
  Verdict on_response_body(Chain& body, bool end) override { return say_body("BODY", body, end); }
  Verdict on_response_trailers(http::HeaderMap&) override { return say("TRAILERS", false); }
  Verdict on_resume(Direction d) override { return say(d == Direction::request ? "resume" : "RESUME", false); }
  void on_local_reply(const LocalReply&) override { story_.tell(plan_, "local"); }
  void on_complete(const ExchangeRecord&) override { story_.tell(plan_, "complete"); }

 private:
  Verdict say_body(const std::string& hook, Chain& body, bool end) {
    const size_t bytes = body.size();
    plan_.on_body(body);
    return say(hook, end, "(" + std::to_string(bytes) + ")");
  }
  Verdict say(const std::string& hook, bool end, const std::string& more = "") {
    story_.tell(plan_, hook + more + (end ? "!" : ""));
    Answers& answers = plan_.answers[hook];
    if (answers.empty()) return {};
    const Verdict verdict = answers.front();
    answers.erase(answers.begin());
    return verdict;
  }
  Plan& plan_;
  Story& story_;
};

class PlantedConfig final : public HttpFilterConfig {
 public:
  PlantedConfig(Plan& plan, Story& story) : plan_(plan), story_(story) {}
  std::unique_ptr<Filter> make(FilterContext& context) const override {
    return std::make_unique<Planted>(plan_, story_, context);
  }

 private:
  Plan& plan_;
  Story& story_;
};

struct Host final : ChainHost {
  void on_filter_resumed() override { ++resumed; }
  int resumed = 0;
};

// A chain of planted filters, with what an exchange would do around it.
struct World {
  explicit World(std::vector<Plan*> plans) {
    for (Plan* plan : plans) {
      manager.filters.push_back({plan->name, "planted", std::make_shared<PlantedConfig>(*plan, story), false});
    }
  }
  void build() {
    plan.emplace(manager, registry, cache);
    chain = FilterChain::make(*plan, host, executor, arena, record, values, levels);
  }
  Verdict request(std::string_view body, bool end, http::HeaderMap* trailers = nullptr) {
    Chain bytes;
    bytes.append(executor.chunks, body);
    chain->receive(Direction::request, std::move(bytes), end, trailers);
    return chain->run(head);
  }
  Verdict response(std::string_view body, bool end, http::HeaderMap* trailers = nullptr) {
    Chain bytes;
    bytes.append(executor.chunks, body);
    chain->receive(Direction::response, std::move(bytes), end, trailers);
    return chain->run(answer);
  }
  std::string passed(Direction d = Direction::request) {
    Chain body = std::move(chain->body(d));
    return std::string(chain->head_passed(d) ? "head " : "") + body.to_string() + (chain->ended(d) ? "!" : "");
  }

  StatRegistry registry;
  StatSlab slab;
  event::Executor executor{Instant(Duration(1'000'000)), 1, slab};
  FilterStatCache cache;
  Story story;
  config::HttpConnectionManager manager;
  std::optional<ChainPlan> plan;
  Host host;
  Arena arena;
  http::RequestHead head{arena};
  http::ResponseHead answer{arena};
  ExchangeRecord record;
  struct Values final : config::FormatSource {
    bool append(const config::FormatOp&, std::string&) const override { return false; }
  } values;
  RouteLevels levels;
  std::unique_ptr<FilterChain> chain;
};

}  // namespace

TEST_CASE("chain: requests go through in order, responses in reverse, pieces as they come") {
  Plan a("a"), b("b");
  World w({&a, &b});
  w.build();
  CHECK(w.request("", false).kind == Verdict::Kind::proceed);
  CHECK(w.story.take() == "a.head b.head");
  CHECK(w.passed() == "head ");
  w.request("abc", false);
  CHECK(w.story.take() == "a.body(3) b.body(3)");
  CHECK(w.passed() == "head abc");
  http::HeaderMap trailers(w.arena);
  w.request("de", true, &trailers);
  CHECK(w.story.take() == "a.body(2) a.trailers b.body(2) b.trailers");
  CHECK(w.passed() == "head de!");
  w.response("xy", true);
  CHECK(w.story.take() == "b.HEAD b.BODY(2)! a.HEAD a.BODY(2)!");
  CHECK(w.passed(Direction::response) == "head xy!");
  w.chain->on_informational(w.answer);
  w.chain->on_local_reply({});
  w.chain->on_complete(w.record);
  CHECK(w.story.take() == "b.1xx a.1xx a.local b.local a.complete b.complete");
}

TEST_CASE("chain: what ends with its head says so, and an empty end is shown once") {
  Plan a("a");
  World w({&a});
  w.build();
  w.request("", true);
  CHECK(w.story.take() == "a.head!");
  CHECK(w.passed() == "head !");
  w.request("", true);  // nothing new
  CHECK(w.story.take() == "");
  w.response("", false);
  w.response("", true);
  CHECK(w.story.take() == "a.HEAD a.BODY(0)!");
}

TEST_CASE("chain: only the hooks that a filter asks for are called") {
  Plan a("a", Hook::request_body), b("b", Hook::response_head);
  World w({&a, &b});
  w.build();
  w.request("abc", true);
  CHECK(w.story.take() == "a.body(3)!");
  CHECK(w.passed() == "head abc!");
  CHECK(w.chain->sees_response());
  w.response("xy", true);
  CHECK(w.story.take() == "b.HEAD");
  CHECK(w.passed(Direction::response) == "head xy!");
  w.chain->on_complete(w.record);
  CHECK(w.story.take() == "");
}

TEST_CASE("chain: a filter that holds sees the body, and nobody behind it sees anything") {
  Plan a("a"), b("b");
  a.answers["head"] = {Verdict::hold()};
  a.answers["body"] = {Verdict::hold(), Verdict::hold()};
  World w({&a, &b});
  w.build();
  w.request("abc", false);
  w.request("d", false);
  CHECK(w.story.take() == "a.head a.body(3) a.body(1)");
  CHECK(w.chain->is_holding(Direction::request));
  CHECK(w.chain->waiting_bytes(Direction::request) == 4);
  CHECK(w.passed() == "");
  w.request("e", true);  // it has seen all of it, and proceeds
  CHECK(w.story.take() == "a.body(1)! b.head b.body(5)!");
  CHECK(w.passed() == "head abcde!");
  CHECK_FALSE(w.chain->is_holding(Direction::request));
  CHECK(w.chain->waiting_bytes(Direction::request) == 0);
}

TEST_CASE("chain: a filter that stops sees nothing until it is resumed") {
  Plan a("a"), b("b");
  b.answers["head"] = {Verdict::stop()};
  World w({&a, &b});
  w.build();
  w.request("abc", true);
  CHECK(w.story.take() == "a.head a.body(3)! b.head");
  CHECK_FALSE(w.chain->is_holding(Direction::request));
  CHECK(w.chain->waiting_bytes(Direction::request) == 3);
  w.request("", true);
  CHECK(w.story.take() == "");
  Ticket ticket = b.context->ticket(Direction::request);
  ticket.resume();
  CHECK(w.host.resumed == 1);
  CHECK(w.story.take() == "");  // never from inside
  ticket.resume();              // it is used up
  CHECK(w.host.resumed == 1);
  w.request("", true);
  CHECK(w.story.take() == "b.resume b.body(3)!");
  CHECK(w.passed() == "head abc!");
}

TEST_CASE("chain: a filter may wait again and again, and in the middle of a body") {
  Plan a("a"), b("b");
  a.answers["resume"] = {Verdict::stop(), Verdict{}};
  a.answers["body"] = {Verdict{}, Verdict::stop()};
  World w({&a, &b});
  w.build();
  w.request("ab", false);
  CHECK(w.passed() == "head ab");
  w.request("cd", false);
  w.request("ef", true);
  CHECK(w.passed() == "head ");
  w.story.take();
  Ticket first = a.context->ticket(Direction::request);
  first.resume();
  w.request("", true);
  CHECK(w.story.take() == "a.resume");
  Ticket second = a.context->ticket(Direction::request);
  second.resume();
  w.request("", true);
  CHECK(w.story.take() == "a.resume a.body(2)! b.body(4)!");
  CHECK(w.passed() == "head cdef!");
}

TEST_CASE("chain: two filters that wait do not hinder each other") {
  Plan a("a"), b("b");
  b.answers["head"] = {Verdict::stop()};
  a.answers["body"] = {Verdict::hold(), Verdict{}};
  World w({&a, &b});
  w.build();
  w.request("ab", false);
  Ticket ticket = b.context->ticket(Direction::request);
  ticket.resume();
  w.request("", false);
  CHECK(w.passed() == "head ");  // b lets the head go; the body is still with a
  w.request("cd", true);
  CHECK(w.passed() == "head abcd!");
}

TEST_CASE("chain: a reply or a reset ends the run at that filter") {
  Plan a("a"), b("b"), c("c");
  const LocalReply forbidden{.status = 403};
  b.answers["head"] = {Verdict::reply(forbidden, {Code::denied})};
  World w({&a, &b, &c});
  w.build();
  const Verdict verdict = w.request("abc", true);
  CHECK(verdict.kind == Verdict::Kind::reply);
  CHECK(verdict.answer->status == 403);
  CHECK(verdict.why.code == Code::denied);
  CHECK(w.story.take() == "a.head a.body(3)! b.head");
  // The answer takes its way through all of them, as in Envoy.
  CHECK_FALSE(w.chain->has_begun(Direction::response));
  w.response("no", true);
  CHECK(w.story.take() == "c.HEAD c.BODY(2)! b.HEAD b.BODY(2)! a.HEAD a.BODY(2)!");
  b.answers["RESUME"] = {Verdict::reset({Code::internal})};
}

TEST_CASE("chain: after hold or stop a filter may still reply, reset, or change its mind") {
  for (const auto kind : {Verdict::Kind::reply, Verdict::Kind::reset}) {
    Plan a("a"), b("b");
    const LocalReply late{.status = 504};
    a.answers["HEAD"] = {Verdict::hold()};
    a.answers["BODY"] = {Verdict::stop()};
    a.answers["RESUME"] = {kind == Verdict::Kind::reply ? Verdict::reply(late, {}) : Verdict::reset({Code::internal})};
    World w({&a, &b});
    w.build();
    CHECK(w.response("ab", false).kind == Verdict::Kind::proceed);
    CHECK(w.response("cd", false).kind == Verdict::Kind::proceed);
    CHECK(w.story.take() == "b.HEAD b.BODY(2) a.HEAD a.BODY(2) b.BODY(2)");
    Ticket ticket = a.context->ticket(Direction::response);
    ticket.resume();
    CHECK(w.response("", false).kind == kind);
    CHECK(w.passed(Direction::response) == "");
  }
}

TEST_CASE("chain: filters change bodies, and take them away") {
  Plan a("a"), b("b");
  World w({&a, &b});
  a.on_body = [&w](Chain& body) { body.append(w.executor.chunks, "+"); };
  b.on_body = [](Chain& body) { body.drain(1); };
  w.build();
  w.request("abc", false);
  CHECK(w.passed() == "head bc+");
  w.request("", true);
  CHECK(w.passed() == "head !");
}

TEST_CASE("chain: a ticket of a filter that is gone does nothing, and a dropped one neither") {
  Plan a("a");
  a.answers["head"] = {Verdict::stop()};
  World w({&a});
  w.build();
  w.request("", true);
  Ticket kept = a.context->ticket(Direction::request);
  Ticket moved = std::move(kept);
  CHECK_FALSE(static_cast<bool>(kept));
  {
    Ticket dropped = a.context->ticket(Direction::request);
  }
  w.request("", true);
  CHECK(w.story.take() == "a.head!");
  w.chain.reset();
  CHECK(a.alive == 0);
  CHECK_FALSE(static_cast<bool>(moved));
  moved.resume();
  CHECK(w.host.resumed == 0);
}

TEST_CASE("chain: what the levels of a route say of a filter") {
  Plan a("a"), b("b");
  struct Own final : config::FilterConfig {};
  const auto host_config = std::make_shared<Own>();
  const auto route_config = std::make_shared<Own>();
  config::WeightedCluster cluster;
  config::Route route;
  config::VirtualHost host;
  config::RouteConfiguration table;
  World w({&a, &b});
  w.levels = {&cluster, &route, &host, &table, "web"};
  w.build();
  CHECK(a.context->route_config() == nullptr);
  CHECK(a.context->cluster_name() == "web");

  host.per_filter["a"] = {.config = host_config};
  route.per_filter["b"] = {.disabled = true};
  w.build();
  CHECK(a.context->route_config() == host_config.get());
  w.request("", true);
  CHECK(w.story.take() == "a.head!");  // b is off here

  cluster.per_filter["b"] = {};  // … and on again, by the more specific level
  route.per_filter["a"] = {.config = route_config};
  w.build();
  CHECK(a.context->route_config() == route_config.get());
  w.request("", true);
  CHECK(w.story.take() == "a.head! b.head!");

  // Off in the chain, until a route speaks of it; the one that only enables leaves the configuration to the other.
  w.manager.filters[0].disabled = true;
  cluster.per_filter["a"] = {};
  w.build();
  CHECK(a.context->route_config() == route_config.get());
  cluster.per_filter.clear();
  route.per_filter.clear();
  host.per_filter.clear();
  w.manager.filters[1].disabled = true;
  w.build();
  CHECK(w.chain == nullptr);  // only the router
}

TEST_CASE("chain: a manager with nothing but the router has no chain") {
  World w({});
  w.build();
  CHECK(w.plan->empty());
  CHECK(w.chain == nullptr);
}
