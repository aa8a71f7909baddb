#include "proxy/admin/server.h"

#include <algorithm>

#include "proxy/admin/pages.h"
#include "proxy/admin/process_stats.h"
#include "proxy/base/log.h"

namespace pillion::admin {
namespace {

constexpr uint32_t kConnectionsMax = 256;

class OwnPage final : public Page {
 public:
  OwnPage(Context& context, PageEntry entry) : context_(context), entry_(std::move(entry)) {}
  const PageInfo& info() const override { return entry_.info; }
  rpc::HttpResponse handle(const PageRequest& request) override { return entry_.function(context_, request); }

 private:
  Context& context_;
  PageEntry entry_;
};

// What may be asked from outside of the machine: whether we are ready, and nothing else.
class ReadyOnly final : public rpc::HttpHandler {
 public:
  explicit ReadyOnly(Context& context) : context_(context) {}
  rpc::HttpResponse handle(const rpc::HttpRequest& request) override {
    if (request.path != "/ready" && request.path != "/healthz/ready") return text_page("there is no such page\n", 404);
    const Query query(request.query);
    return ready_page(context_, {.http = request, .query = query});
  }

 private:
  Context& context_;
};

class Server final : public AdminServer, public rpc::HttpHandler {
 public:
  Server(worker::Server& server, const AdminOptions& options, std::vector<std::unique_ptr<Page>> more_pages)
      : options_(options),
        stats_(server.registry()),
        context_{.server = server, .options = options_, .started = server.main_loop().now(), .pages = &pages_},
        ready_only_(context_),
        pages_(std::move(more_pages)) {
    context_.server_stats = &stats_;
    for (PageEntry& entry : own_pages()) {
      if (find(entry.info.path) == nullptr) pages_.push_back(std::make_unique<OwnPage>(context_, std::move(entry)));
    }
    std::sort(pages_.begin(), pages_.end(),
              [](const auto& a, const auto& b) { return a->info().path < b->info().path; });
  }

  Expected<void> open() {
    PILLION_TRY(open_all(options_.listen, *this));
    return open_all(options_.ready_listen, ready_only_);
  }

  std::vector<Address> addresses() const override {
    std::vector<Address> out;
    for (const auto& server : servers_) out.push_back(server->address());
    return out;
  }
  const char* state() const override { return context_.state(); }

  rpc::HttpResponse handle(const rpc::HttpRequest& request) override {
    Page* page = find(request.path);
    if (page == nullptr) return text_page("invalid path. admin commands are:\n" + list_of_pages(context_), 404);
    // Also keeps other people's web pages from steering us by a link or an image.
    if (page->info().mutates && request.method != "POST") {
      return text_page("Method " + request.method + " not allowed, POST required.", 405);
    }
    if (page->info().mutates) {
      PILLION_LOG(info, "admin: {}: POST {}?{}", request.peer->address.to_string(), request.path, request.query);
    }
    const Query query(request.query);
    return page->handle({.http = request, .query = query});
  }

 private:
  Expected<void> open_all(const std::vector<Address>& addresses, rpc::HttpHandler& handler) {
    for (const Address& address : addresses) {
      auto made = rpc::make_http_server(
          context_.server.main_loop(),
          {.listen = {.address = address}, .handler = &handler, .connections_max = kConnectionsMax});
      if (!made) return std::unexpected(made.error());
      servers_.push_back(std::move(*made));
    }
    return {};
  }

  Page* find(std::string_view path) const {
    for (const auto& page : pages_) {
      if (page->info().path == path) return page.get();
    }
    return nullptr;
  }

  const AdminOptions options_;
  ServerStats stats_;
  Context context_;
  ReadyOnly ready_only_;
  std::vector<std::unique_ptr<Page>> pages_;
  std::vector<std::unique_ptr<rpc::HttpServer>> servers_;
};

}  // namespace

std::vector<PageEntry> own_pages() {
  std::vector<PageEntry> pages = {
      {{"/", "Admin home page"}, home_page},
      {{"/help", "print out list of admin commands"}, help_page},
      {{"/ready", "print server state, return 200 if LIVE, otherwise return 503"}, ready_page},
      {{"/server_info", "print server version/status information"}, server_info_page},
      {{"/memory", "print current allocation/heap usage"}, memory_page},
      {{"/listeners", "print listener info", false, {{"format", "text or json"}}}, listeners_page},
      {{"/clusters", "upstream cluster status", false, {{"format", "text or json"}}}, clusters_page},
      {{"/certs", "print certs on machine"}, certs_page},
      {{"/stats",
        "print server stats",
        false,
        {{"usedonly", "only stats that have counted"},
         {"filter", "a regular expression that is looked for in the names"},
         {"format", "text, json or prometheus"}}},
       stats_page},
      {{"/stats/prometheus",
        "print server stats in prometheus format",
        false,
        {{"usedonly", "only stats that have counted"},
         {"filter", "a regular expression that is looked for in the names"}}},
       prometheus_page},
      {{"/logging",
        "query/change the logging level",
        true,
        {{"level", "trace, debug, info, warning, error, critical or off"}, {"paths", "pillion:level"}}},
       logging_page},
      {{"/drain_listeners",
        "drain listeners",
        true,
        {{"inboundonly", "only those whose traffic direction is inbound"}, {"graceful", "taken, and always so"}}},
       drain_listeners_page},
      {{"/healthcheck/fail", "cause the server to fail health checks", true}, health_fail_page},
      {{"/healthcheck/ok", "cause the server to pass health checks", true}, health_ok_page},
      {{"/reset_counters", "reset all counters to zero", true}, reset_counters_page},
      {{"/reopen_logs", "reopen access logs", true}, reopen_logs_page},
      {{"/quitquitquit", "exit the server", true}, quit_page},
  };
  return pages;
}

Expected<std::unique_ptr<AdminServer>> make_admin_server(worker::Server& server, const AdminOptions& options,
                                                         std::vector<std::unique_ptr<Page>> more_pages) {
  auto admin = std::make_unique<Server>(server, options, std::move(more_pages));
  PILLION_TRY(admin->open());
  return admin;
}

}  // namespace pillion::admin
