// Filters in the life of a request: what the exchange makes of their verdicts.
#include <doctest/doctest.h>

#include <functional>

#include "edge.h"

using namespace pillion;
using namespace pillion::downstream;
using namespace pillion::downstream::test;
using filter::Direction;
using filter::Verdict;

namespace {

// What one planted filter does, and what it saw.
struct Plan {
  std::function<Verdict(filter::FilterContext&, http::RequestHead&)> head = [](auto&, auto&) { return Verdict{}; };
  std::function<Verdict(filter::FilterContext&, bool)> body = [](auto&, bool) { return Verdict{}; };
  std::function<Verdict(filter::FilterContext&)> resume = [](auto&) { return Verdict{}; };
  std::function<Verdict(filter::FilterContext&, http::ResponseHead&)> answer = [](auto&, auto&) { return Verdict{}; };
  std::function<Verdict(filter::FilterContext&)> answer_resume = [](auto&) { return Verdict{}; };
  int heads = 0, answers = 0, completed = 0, alive = 0;
  uint16_t completed_with = 0;
  filter::Ticket ticket;
};

class Planted final : public filter::Filter {
 public:
  Planted(Plan& plan, filter::FilterContext& context) : plan_(plan), context_(context) { ++plan.alive; }
  ~Planted() override { --plan_.alive; }
  filter::Hooks hooks() const override { return 0xffff; }
  Verdict on_request_head(http::RequestHead& head, bool) override {
    ++plan_.heads;
    return plan_.head(context_, head);
  }
  Verdict on_request_body(Chain&, bool end) override { return plan_.body(context_, end); }
  Verdict on_resume(Direction d) override {
    return d == Direction::request ? plan_.resume(context_) : plan_.answer_resume(context_);
  }
  Verdict on_response_head(http::ResponseHead& head, bool) override {
    ++plan_.answers;
    return plan_.answer(context_, head);
  }
  void on_complete(const filter::ExchangeRecord& record) override {
    ++plan_.completed;
    plan_.completed_with = record.status;
  }

 private:
  Plan& plan_;
  filter::FilterContext& context_;
};

class PlantedConfig final : public filter::HttpFilterConfig {
 public:
  explicit PlantedConfig(Plan& plan) : plan_(plan) {}
  std::unique_ptr<filter::Filter> make(filter::FilterContext& context) const override {
    return std::make_unique<Planted>(plan_, context);
  }

 private:
  Plan& plan_;
};

// /d answers 200 "direct".
config::RouteConfiguration usual() {
  config::Route direct;
  direct.match.path.text = "/d";
  direct.action = config::DirectResponse{.status = 200, .body = "direct"};
  return table_of({direct});
}

struct Filtered : Edge {
  explicit Filtered(std::vector<Plan*> plans) {
    for (size_t i = 0; i < plans.size(); ++i) {
      manager.filters.push_back({std::to_string(i), "planted", std::make_shared<PlantedConfig>(*plans[i]), false});
    }
    config::AccessLog log;
    log.path = "log";
    log.text = *config::Format::compile("%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%");
    manager.access_logs.push_back(std::move(log));
  }
  ~Filtered() {
    for (Session& session : sessions) session.close();
    turn();
  }
  std::string logged() { return logs["log"].empty() ? "" : logs["log"].back(); }
};

std::string get(const char* path, const char* more = "", const char* method = "GET") {
  return std::string(method) + " " + path + " HTTP/1.1\r\nHost: t\r\n" + more + "\r\n";
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

// Stops the request, and keeps the ticket in the plan.
void stops(Plan& plan) {
  plan.head = [&plan](filter::FilterContext& context, http::RequestHead&) {
    plan.ticket = context.ticket(Direction::request);
    return Verdict::stop();
  };
}

Verdict says(filter::FilterContext& context, uint16_t status, std::string_view body) {
  return Verdict::reply(*context.arena().make<filter::LocalReply>(
                            filter::LocalReply{.status = status, .body = body, .details = "planted"}),
                        {Code::denied, Side::local, Retry::never, 0, "planted"});
}

}  // namespace

TEST_CASE("filters: a request waits for the one that stops it, and goes on when resumed") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  CHECK(edge.ask(get("/d")) == "");
  CHECK(edge.stat("downstream_rq_active") == 1);
  a.ticket.resume();
  edge.turn();
  CHECK(has(edge.received(), "\r\n\r\ndirect"));
  CHECK(a.completed == 1);
  CHECK(a.completed_with == 200);
  CHECK(a.alive == 0);
  CHECK(edge.ask(get("/d")) == "");  // the next one waits too
  CHECK(a.heads == 2);
}

TEST_CASE("filters: a reply goes back through all of them, the last first, and completes each once") {
  std::string order;
  Plan a, b, c;
  b.head = [](filter::FilterContext& context, http::RequestHead&) { return says(context, 403, "no"); };
  for (const auto& [plan, name] : {std::pair(&a, "a"), std::pair(&b, "b"), std::pair(&c, "c")}) {
    plan->answer = [&order, name](filter::FilterContext&, http::ResponseHead& head) {
      order += name;
      head.headers.add("x-by", name);
      return Verdict{};
    };
  }
  Filtered edge({&a, &b, &c});
  edge.open(usual());
  const std::string answer = edge.ask(get("/d"));
  CHECK(has(answer, "HTTP/1.1 403 Forbidden\r\n"));
  CHECK(has(answer, "x-by: c\r\nx-by: b\r\nx-by: a\r\n"));
  CHECK(has(answer, "\r\n\r\nno"));
  CHECK(order == "cba");
  CHECK(c.heads == 0);
  CHECK(a.completed + b.completed + c.completed == 3);
  CHECK(has(edge.logged(), "403 - planted"));
}

TEST_CASE("filters: what the proxy answers by itself they see too, also where no request came to them") {
  struct Case {
    const char* request;
    const char* status;
    int heads;
  };
  static const std::string kNone = get("/none"), kDirect = get("/d"),
                           kUpgrade = get("/d", "Connection: upgrade\r\nUpgrade: x\r\n");
  const Case kCases[] = {{kNone.c_str(), "404", 1},
                         {kDirect.c_str(), "200", 1},
                         {kUpgrade.c_str(), "403", 0},
                         {"GET /d HTTP/1.1\r\n\r\n", "400", 0},
                         {"GET /d HTTP/1.1\r\nHost: t\r\nBad Name: x\r\n\r\n", "400", 0}};
  for (const Case& one : kCases) {
    CAPTURE(one.request);
    Plan a;
    a.answer = [](filter::FilterContext&, http::ResponseHead& head) {
      head.headers.add("x-by", "a");
      return Verdict{};
    };
    Filtered edge({&a});
    edge.open(usual());
    const std::string answer = edge.ask(one.request);
    CHECK(has(answer, std::string("HTTP/1.1 ") + one.status));
    CHECK(has(answer, "x-by: a\r\n"));
    CHECK(a.heads == one.heads);
    CHECK(a.answers == 1);
    CHECK(a.completed == 1);
  }
}

TEST_CASE("filters: an answer of ours waits for a filter that stops it, and another may take its place") {
  Plan a, b;
  a.answer = [&a](filter::FilterContext& context, http::ResponseHead&) {
    a.ticket = context.ticket(Direction::response);
    return Verdict::stop();
  };
  SUBCASE("it goes on") {
    Filtered edge({&a, &b});
    edge.open(usual());
    CHECK(edge.ask(get("/d")) == "");
    a.ticket.resume();
    edge.turn();
    CHECK(has(edge.received(), "\r\n\r\ndirect"));
  }
  SUBCASE("it is replaced, and the other is not shown again") {
    a.answer_resume = [](filter::FilterContext& context) { return says(context, 502, "changed"); };
    Filtered edge({&a, &b});
    edge.open(usual());
    CHECK(edge.ask(get("/d")) == "");
    a.ticket.resume();
    edge.turn();
    const std::string answer = edge.received();
    CHECK(has(answer, "502 Bad Gateway"));
    CHECK(has(answer, "\r\n\r\nchanged"));
    CHECK(a.answers == 1);
    CHECK(b.answers == 1);
  }
  SUBCASE("time runs out") {
    Filtered edge({&a, &b});
    edge.manager.stream_idle_timeout = Duration{1'000'000};
    edge.open(usual());
    CHECK(edge.ask(get("/d")) == "");
    edge.pass(Duration{1'100'000});
    CHECK(has(edge.received(), "504 Gateway Timeout"));
    CHECK(a.completed == 1);
    a.ticket.resume();  // nobody is there any more
    edge.turn();
  }
}

TEST_CASE("filters: a client that leaves while a filter waits") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  edge.send(get("/d"));
  REQUIRE(edge.wire.transport != nullptr);
  SUBCASE("by a reset") {
    edge.wire.transport->break_off();
  }
  SUBCASE("by a FIN") {
    edge.wire.transport->deliver_eof();
  }
  edge.turn();
  CHECK(a.completed == 1);
  CHECK(a.alive == 0);
  CHECK(has(edge.logged(), "0 DC downstream_remote_disconnect"));
  CHECK_FALSE(static_cast<bool>(a.ticket));
  a.ticket.resume();
  edge.turn();
  CHECK(edge.stat("downstream_rq_active") == 0);
}

TEST_CASE("filters: a drain waits for a request that a filter holds") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  edge.send(get("/d"));
  for (Session& session : edge.sessions) session.drain();
  edge.turn();
  CHECK(edge.removed == 0);
  a.ticket.resume();
  edge.turn();
  CHECK(has(edge.received(), "\r\n\r\ndirect"));
  CHECK(edge.wire.shut);
  CHECK(a.completed == 1);
}

TEST_CASE("filters: a connection that is closed takes what a filter holds with it") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  edge.send(get("/d"));
  for (Session& session : edge.sessions) session.close();
  edge.turn();
  CHECK(a.completed == 1);
  CHECK(a.alive == 0);
  CHECK(edge.removed == 1);
}

TEST_CASE("filters: a reset ends the request without an answer") {
  Plan a;
  a.head = [](filter::FilterContext&, http::RequestHead&) {
    return Verdict::reset({Code::local_close, Side::local, Retry::never, 0, "planted"});
  };
  Filtered edge({&a});
  edge.open(usual());
  CHECK(edge.ask(get("/d")) == "");
  CHECK((edge.wire.closed || edge.wire.shut || edge.wire.was_reset));
  CHECK(a.completed == 1);
  CHECK(edge.stat("rq_reset_after_downstream_response_started") == 0);
}

TEST_CASE("filters: a body that is held is bounded; who waits for it is told to send it") {
  Plan a;
  a.head = [](filter::FilterContext&, http::RequestHead&) { return Verdict::hold(); };
  a.body = [](filter::FilterContext&, bool end) { return end ? Verdict{} : Verdict::hold(); };
  Filtered edge({&a});
  edge.open(usual());
  SUBCASE("within the limit") {
    CHECK(has(edge.ask(get("/d", "Content-Length: 300000\r\nExpect: 100-continue\r\n", "POST")), "HTTP/1.1 100 "));
    edge.send(std::string(200'000, 'x'));
    CHECK(edge.received() == "");
    edge.send(std::string(100'000, 'x'));
    CHECK(has(edge.received(), "\r\n\r\ndirect"));
  }
  SUBCASE("beyond it") {
    edge.send(get("/d", "Content-Length: 3000000\r\n", "POST"));
    std::string answer;
    for (int i = 0; i < 30 && answer.empty(); ++i) answer = edge.ask(std::string(100'000, 'x'));
    CAPTURE(answer);
    CHECK(has(answer, "HTTP/1.1 413 Content Too Large\r\n"));
    CHECK(has(answer, "Connection: close\r\n"));
    CHECK(has(edge.logged(), "request_payload_too_large"));
    CHECK(edge.stat("downstream_rq_too_large") == 1);
    CHECK(a.completed == 1);
  }
}

TEST_CASE("filters: who stops a body stops the client, and lets it go on") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  edge.send(get("/d", "Content-Length: 3000000\r\n", "POST"));
  int sent = 0;
  while (sent < 30 && edge.wire.pauses == 0) {
    edge.send(std::string(100'000, 'x'));
    ++sent;
  }
  CHECK(sent < 15);
  CHECK(edge.received() == "");
  a.ticket.resume();
  edge.turn();
  CHECK(has(edge.received(), "\r\n\r\ndirect"));
  CHECK(edge.wire.pauses == 0);
}

TEST_CASE("filters: who waits for a 100 gets it while a filter stops the request") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  edge.open(usual());
  CHECK(edge.ask(get("/d", "Expect: 100-continue\r\nContent-Length: 2\r\n", "POST")) ==
        "HTTP/1.1 100 Continue\r\n\r\n");
  a.ticket.resume();
  CHECK(has(edge.ask("hi"), "\r\n\r\ndirect"));
}

TEST_CASE("filters: a redirect to TLS stays one, whatever a filter says of the request") {
  Plan a;
  a.head = [](filter::FilterContext&, http::RequestHead& head) {
    head.headers.set(http::HeaderId::x_forwarded_proto, "https");
    return Verdict{};
  };
  Filtered edge({&a});
  config::Route routed;
  routed.match.path.text = "/r";
  routed.action = config::RouteAction{.clusters = {{.cluster = "c"}}};
  config::RouteConfiguration table = table_of({routed});
  table.virtual_hosts[0].require_tls = true;
  edge.open(std::move(table));
  const std::string answer = edge.ask(get("/r"));
  CHECK(has(answer, "HTTP/1.1 301 Moved Permanently\r\n"));
  CHECK(has(answer, "location: https://t/r\r\n"));
}

TEST_CASE("filters: the route's longest duration counts from the begin, also while a filter stops the request") {
  Plan a;
  stops(a);
  Filtered edge({&a});
  config::Route routed;
  routed.match.path.text = "/r";
  routed.action = config::RouteAction{.clusters = {{.cluster = "c"}}, .max_stream_duration = Duration{1'000'000}};
  edge.open(table_of({routed}));
  CHECK(edge.ask(get("/r")) == "");
  edge.pass(Duration{900'000});
  CHECK(edge.received() == "");
  edge.pass(Duration{200'000});
  CHECK(has(edge.received(), "HTTP/1.1 504 Gateway Timeout\r\n"));
}

TEST_CASE("filters: what comes behind our own answer is not kept while a filter stops the answer") {
  Plan a;
  a.answer = [](auto&, auto&) { return Verdict::stop(); };
  Filtered edge({&a});
  edge.open(usual());
  CHECK(edge.ask(get("/none", "Content-Length: 100000000\r\n", "POST")) == "");
  const size_t before = edge.executor.chunks.live();
  const std::string piece(16 * 1024, 'x');
  for (int i = 0; i < 100; ++i) edge.send(piece);
  CHECK(edge.executor.chunks.live() <= before + 2);
}
