#include "proxy/cli/proxy.h"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>

#include "certs/files.h"
#include "certs/join_token.h"
#include "filters/builtin.h"
#include "proxy/admin/server.h"
#include "proxy/base/log.h"
#include "proxy/base/memory.h"
#include "proxy/base/version.h"
#include "proxy/cli/config_pages.h"
#include "proxy/cli/dynamic_config.h"
#include "proxy/cli/shutdown.h"
#include "proxy/event/loop.h"
#include "proxy/event/signal.h"
#include "proxy/event/thread.h"
#include "proxy/net/cares_resolver.h"
#include "proxy/worker/server.h"
#include "xds/client/node.h"
#include "xds/client/secret_files.h"
#include "xds/client/tls_check.h"
#include "xds/control/translate.h"
#include "xds/translate/bootstrap.h"

namespace pillion::cli {
namespace {

int fail(const std::string& why) {
  std::cerr << "pillion: " << why << "\n";
  return 1;
}

// A listener of the file that cannot be bound ends the start, as a file that cannot be read does.
bool all_bound(const worker::Server& server) {
  bool bound = true;
  for (const worker::ListenerStatus& listener : server.listeners()) {
    if (listener.error.empty()) continue;
    fail("listener " + listener.name + ": " + listener.error);
    bound = false;
  }
  return bound;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::expected<std::string, std::string> read_join_token(const ProxyOptions& options) {
  const std::string path =
      options.join_token_file.empty() ? environment("PILLION_TOKEN_FILE") : options.join_token_file;
  if (path.empty()) return std::unexpected("--join-token-file: a control plane is joined with a token");
  auto content = certs::read_file(path, certs::kMaxTokenBytes);
  if (!content) return std::unexpected(content.error().to_string());
  if (!*content) return std::unexpected(path + ": there is no such file");
  std::string token = std::move(**content);
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r' || token.back() == ' ')) token.pop_back();
  return token;
}

// What differs between the two ways to be configured, before anything runs.
struct Start {
  xds::Bootstrap bootstrap;
  std::optional<MeshOptions> mesh;
  std::vector<Address> admin;
  std::vector<Address> ready;
  std::vector<Address> capture;  // bound before there is a configuration
};

std::expected<Start, std::string> start_from_control_plane(const ProxyOptions& options) {
  Start start;
  start.bootstrap.static_resources = std::make_shared<config::Snapshot>();
  auto token = read_join_token(options);
  if (!token) return std::unexpected(token.error());
  start.mesh = MeshOptions{.control_plane = options.control_plane,
                           .join_token = std::move(*token),
                           .mode = options.state_of_the_world ? xds::client::Mode::sotw : xds::client::Mode::delta,
                           .node_id = options.service_node,
                           .node_cluster = options.service_cluster,
                           .pod_ip = environment("POD_IP")};
  for (const auto& [text, list, flag] :
       {std::tuple(&options.admin, &start.admin, "--admin"), std::tuple(&options.ready, &start.ready, "--ready")}) {
    if (text->empty()) continue;
    const std::optional<Address> address = Address::parse(*text);
    if (!address) return std::unexpected(std::string(flag) + ": \"" + *text + "\" is not IP:PORT");
    list->push_back(*address);
  }
  const bool has_v6 = (environment("POD_IP") + environment("POD_IPS")).contains(':');  // status.podIPs, by comma
  for (const uint16_t port : {xds::control::kOutboundPort, xds::control::kInboundPort}) {
    start.capture.push_back(*Address::parse_ip("0.0.0.0", port));
    if (has_v6) start.capture.push_back(*Address::parse_ip("::", port));
  }
  return start;
}

xds::TranslationOptions translation() {
  return {.filters = &filters::builtin()};
}

// Null, and the errors are told, where the file cannot be honoured.
std::optional<Start> start_from_file(const ProxyOptions& options) {
  auto bootstrap =
      xds::load_bootstrap(options.config_path, {options.service_node, options.service_cluster}, translation());
  if (!bootstrap) {
    for (const ConfigError& error : bootstrap.error()) fail(error.to_string());
    return std::nullopt;
  }
  for (const std::string& warning : bootstrap->warnings) PILLION_LOG(warning, "{}: {}", options.config_path, warning);
  const std::vector<std::string> faults = xds::client::tls_faults(*bootstrap->static_resources);
  for (const std::string& fault : faults) fail(options.config_path + ": " + fault);
  if (!faults.empty()) return std::nullopt;
  Start start;
  start.bootstrap = std::move(*bootstrap);
  if (start.bootstrap.admin) start.admin.push_back(start.bootstrap.admin->address);
  return start;
}

// Secrets in files that a bootstrap without ADS names.
class StaticSecretFiles final : public xds::client::SecretFileEvents {
 public:
  explicit StaticSecretFiles(worker::Server& server) : server_(server), files_(server.main_loop(), *this) {
    files_.watch(xds::client::file_wishes(*server.snapshot()));
  }

 private:
  void on_file_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material) override {
    auto next = std::make_shared<config::Snapshot>(*server_.snapshot());
    ++next->sequence;
    next->secrets.insert_or_assign(key, std::move(material));
    server_.publish(std::move(next));
  }
  void on_file_secret_gone(const std::string&) override {}  // what is static wants them to the end

  worker::Server& server_;
  xds::client::SecretFiles files_;
};

class InitialConfig final : public admin::Readiness {
 public:
  explicit InitialConfig(const DynamicConfig* dynamic) : dynamic_(dynamic) {}
  bool is_initialized() const override { return dynamic_ == nullptr || dynamic_->is_complete(); }

 private:
  const DynamicConfig* dynamic_;
};

admin::AdminOptions admin_options(const ProxyOptions& options, const Start& start, uint32_t concurrency,
                                  const admin::Readiness& readiness) {
  admin::AdminOptions out;
  out.listen = start.admin;
  out.ready_listen = start.ready;
  out.version = kVersion;
  out.bootstrap = start.bootstrap.static_resources;
  out.node_json = xds::client::node_as_json(
      start.mesh ? xds::client::make_node({options.service_node, options.service_cluster, start.mesh->pod_ip})
                 : xds::client::with_user_agent(start.bootstrap.node));
  out.command_line = {options.config_path,  concurrency,
                      options.log_level,    std::chrono::seconds(options.drain_time_s),
                      options.service_node, options.service_cluster};
  out.readiness = &readiness;
  return out;
}

int serve(const ProxyOptions& options, Start start) {
  return_free_memory();  // of reading the file
  const int64_t started = wall_now_us();
  StatRegistry registry;
  StatSlab slab;
  registry.attach(slab);
  event::Loop loop(static_cast<uint64_t>(started), slab);
  const std::unique_ptr<net::Resolver> resolver = net::make_cares_resolver(loop);
  worker::ServerOptions server_options;
  server_options.concurrency = options.concurrency != 0 ? options.concurrency : event::processors();
  server_options.drain_time = std::chrono::seconds(options.drain_time_s);
  server_options.seed = static_cast<uint64_t>(started);
  server_options.bind_at_start = start.capture;
  const std::unique_ptr<worker::Server> server = worker::make_server(loop, registry, server_options);
  if (!start.mesh) server->publish(start.bootstrap.static_resources);
  if (!all_bound(*server)) return 1;

  std::expected<std::unique_ptr<DynamicConfig>, std::string> dynamic;
  if (start.mesh)
    dynamic = make_mesh_ads(*server, *resolver, *start.mesh, translation());
  else if (start.bootstrap.ads)
    dynamic = make_bootstrap_ads(*server, *resolver, start.bootstrap, translation());
  if (!dynamic) return fail(dynamic.error());

  std::optional<StaticSecretFiles> secret_files;
  if (*dynamic == nullptr) secret_files.emplace(*server);

  const InitialConfig readiness(dynamic->get());
  auto admin = admin::make_admin_server(
      *server, admin_options(options, start, server_options.concurrency, readiness),
      make_config_pages(std::move(start.bootstrap.message), started, *dynamic ? &(*dynamic)->store() : nullptr));
  if (!admin) return fail("the admin server: " + to_string(admin.error()));

  Shutdown shutdown(*server, server_options.drain_time);
  const event::SignalWatch on_term(loop, SIGTERM, event::Callback::bind<&Shutdown::begin>(&shutdown));
  const event::SignalWatch on_interrupt(loop, SIGINT, event::Callback::bind<&Shutdown::end>(&shutdown));
  const event::SignalWatch on_usr1(loop, SIGUSR1, event::Callback::bind<&worker::Server::reopen_logs>(server.get()));
  PILLION_LOG(info, "serving {} with {} workers", start.mesh ? "what the control plane says" : options.config_path,
              server_options.concurrency);
  loop.run();
  return 0;
}

}  // namespace

int run_proxy(const ProxyOptions& options) {
  const std::optional<LogLevel> level = parse_log_level(options.log_level);
  if (!level) return fail("--log-level: there is no level " + options.log_level);
  set_log_level(*level);
  set_log_thread_name("main");
  event::ignore_sigpipe();

  if (options.config_path.empty() == options.control_plane.empty()) {
    return fail("either -c FILE or --control-plane HOST:PORT says where the configuration is");
  }
  if (!options.control_plane.empty()) {
    auto start = start_from_control_plane(options);
    return start ? serve(options, std::move(*start)) : fail(start.error());
  }
  std::optional<Start> start = start_from_file(options);
  if (!start) return 1;
  if (options.mode != "validate") return serve(options, std::move(*start));
  std::cout << "configuration '" << options.config_path << "' OK\n";
  return 0;
}

}  // namespace pillion::cli
