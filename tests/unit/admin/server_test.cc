#include "proxy/admin/server.h"

#include <doctest/doctest.h>

#include "proxy/base/log.h"
#include "tests/unit/admin/fake_server.h"

using namespace pillion;
using namespace pillion::admin;
using namespace pillion::admin::test;

namespace {

struct ExtraPage final : Page {
  explicit ExtraPage(std::string path) : page{.path = std::move(path), .help = "of somebody else"} {}
  const PageInfo& info() const override { return page; }
  rpc::HttpResponse handle(const PageRequest& request) override {
    return text_page(fmt::format("extra {}", request.query.get("mask").value_or("-")));
  }
  PageInfo page;
};

}  // namespace

TEST_CASE("admin: /ready follows the state") {
  struct Phase final : Readiness {
    bool is_initialized() const override { return done; }
    bool done = false;
  } phase;
  Asking a;
  a.options.readiness = &phase;
  CHECK(a.ask("/ready").status == 503);
  CHECK(a.ask("/ready").body == "PRE_INITIALIZING\n");
  phase.done = true;
  CHECK(a.ask("/ready").status == 200);
  CHECK(a.ask("/ready").body == "LIVE\n");
  CHECK(a.ask("/healthcheck/fail", "POST").status == 200);
  CHECK(a.ask("/ready").body == "DRAINING\n");
  CHECK(a.ask("/ready").status == 503);
  CHECK(a.ask("/healthcheck/ok", "POST").body == "OK\n");
  CHECK(a.ask("/ready").status == 200);
  a.server.draining = true;
  CHECK(a.ask("/ready").body == "DRAINING\n");
  CHECK(a.ask("/server_info").body.find("\"state\": \"DRAINING\"") != std::string::npos);
}

TEST_CASE("admin: pages that change something refuse every method but POST") {
  for (const std::string path : {"/logging?level=debug", "/drain_listeners", "/quitquitquit", "/healthcheck/fail",
                                 "/healthcheck/ok", "/reset_counters"}) {
    CAPTURE(path);
    Asking a;
    const LogLevel before = log_level();
    const Answer answer = a.ask(path);
    CHECK(answer.status == 405);
    CHECK(answer.body == "Method GET not allowed, POST required.");
    CHECK(a.ask(path, "PUT").status == 405);
    CHECK(a.server.drained.empty());
    CHECK(a.server.quits == 0);
    CHECK(log_level() == before);
    CHECK(a.ask("/ready").status == 200);
  }
}

TEST_CASE("admin: pages that steer") {
  Asking a;
  CHECK(a.ask("/drain_listeners?inboundonly&graceful", "POST").body == "OK\n");
  CHECK(a.server.drained == "inbound");
  CHECK(a.ask("/drain_listeners", "POST").status == 200);
  CHECK(a.server.drained == "all");
  CHECK(a.ask("/reopen_logs", "POST").status == 200);
  CHECK(a.server.reopens == 1);
  CHECK(a.ask("/quitquitquit", "POST").status == 200);
  CHECK(a.server.quits == 1);
}

TEST_CASE("admin: /logging sets the level and says what is wrong") {
  struct Case {
    const char* query;
    int status;
    LogLevel after;
  };
  const LogLevel before = log_level();
  Asking a;
  for (const Case& c : {Case{"?level=error", 200, LogLevel::error},
                        {"?paths=pillion:warning", 200, LogLevel::warning},
                        {"?pillion=error", 200, LogLevel::error},
                        {"", 200, LogLevel::error},
                        {"?level=nonsense", 400, LogLevel::error},
                        {"?http=debug", 400, LogLevel::error},
                        {"?paths=pillion", 400, LogLevel::error},
                        {"?a=b&c=d", 400, LogLevel::error}}) {
    CAPTURE(c.query);
    const Answer answer = a.ask(std::string("/logging") + c.query, "POST");
    CHECK(answer.status == c.status);
    CHECK(log_level() == c.after);
    CHECK(answer.body.find(fmt::format("pillion: {}", name_of(c.after))) != std::string::npos);
  }
  set_log_level(before);
}

TEST_CASE("admin: /help lists the pages, and an unknown path too") {
  Asking a;
  const Answer help = a.ask("/help");
  CHECK(help.status == 200);
  for (const char* line : {"  /ready: ", "  /logging (POST): ", "      level: ", "  /stats/prometheus: "}) {
    CAPTURE(line);
    CHECK(help.body.find(line) != std::string::npos);
  }
  const Answer unknown = a.ask("/no-such-page");
  CHECK(unknown.status == 404);
  CHECK(unknown.body == "invalid path. " + help.body);
  CHECK(a.ask("/").body.find("<a href='/ready'>") != std::string::npos);
  CHECK(a.ask("/ready/").status == 404);
}

TEST_CASE("admin: /listeners as text and as JSON") {
  Asking a;
  a.server.statuses = {{.name = "web", .addresses = {*Address::parse("127.0.0.1:80"), *Address::parse("[::1]:80")}},
                       {.name = "odd \"name\"", .addresses = {Address::pipe("/run/x.sock")}},
                       {.name = "none", .error = "bind 0.0.0.0:80: EADDRINUSE"}};
  CHECK(a.ask("/listeners").body == "web::127.0.0.1:80\nweb::[::1]:80\nodd \"name\"::/run/x.sock\n");
  CHECK(a.ask("/listeners?format=json").body == R"({
 "listener_statuses": [
  {
   "name": "web",
   "local_address": {
    "socket_address": {
     "address": "127.0.0.1",
     "port_value": 80
    }
   },
   "additional_local_addresses": [
    {
     "socket_address": {
      "address": "::1",
      "port_value": 80
     }
    }
   ]
  },
  {
   "name": "odd \"name\"",
   "local_address": {
    "pipe": {
     "path": "/run/x.sock"
    }
   }
  },
  {
   "name": "none"
  }
 ]
}
)");
}

TEST_CASE("admin: pages of others are added, and may replace ours") {
  Asking a;
  std::vector<std::unique_ptr<Page>> more;
  more.push_back(std::make_unique<ExtraPage>("/config_dump"));
  more.push_back(std::make_unique<ExtraPage>("/memory"));
  a.open(std::move(more));
  CHECK(a.ask("/config_dump?mask=a%2Fb+c").body == "extra a/b c");
  CHECK(a.ask("/memory").body == "extra -");
  CHECK(a.ask("/help").body.find("  /config_dump: of somebody else\n") != std::string::npos);
}

TEST_CASE("admin: the readiness address answers nothing else") {
  Asking a;
  a.options.ready_listen = {*Address::parse_ip("127.0.0.1", 0)};
  CHECK(a.ask("/ready", "GET", 1).body == "LIVE\n");
  CHECK(a.ask("/healthz/ready", "GET", 1).status == 200);
  CHECK(a.ask("/stats", "GET", 1).status == 404);
  CHECK(a.ask("/quitquitquit", "POST", 1).status == 404);
  CHECK(a.server.quits == 0);
}

TEST_CASE("admin: /server_info and /memory") {
  Asking a;
  a.options.version = "1.2.3";
  a.options.node_json = "{\"id\": \"n\"}";
  a.options.command_line = {.config_path = "/etc/x.yaml", .concurrency = 2};
  const std::string info = a.ask("/server_info").body;
  for (const char* part : {"\"version\": \"1.2.3\"", "\"uptime_all_epochs\": \"", "\"concurrency\": 2",
                           "\"config_path\": \"/etc/x.yaml\"", "\"node\": {\"id\": \"n\"}"}) {
    CAPTURE(part);
    CHECK(info.find(part) != std::string::npos);
  }
  const std::string memory = a.ask("/memory").body;
  CHECK(memory.find("\"total_physical_bytes\": \"") != std::string::npos);
  CHECK(memory.find("\"total_physical_bytes\": \"0\"") == std::string::npos);
}
