#include "proxy/cli/proxy.h"

#include <csignal>
#include <iostream>
#include <memory>

#include "proxy/base/log.h"
#include "proxy/cli/shutdown.h"
#include "proxy/event/loop.h"
#include "proxy/event/signal.h"
#include "proxy/event/thread.h"
#include "proxy/worker/server.h"
#include "xds/translate/bootstrap.h"

namespace pillion::cli {
namespace {

// A listener of the file that cannot be bound ends the start, as a file that cannot be read does.
bool all_bound(const worker::Server& server) {
  bool bound = true;
  for (const worker::ListenerStatus& listener : server.listeners()) {
    if (listener.error.empty()) continue;
    std::cerr << "pillion: listener " << listener.name << ": " << listener.error << "\n";
    bound = false;
  }
  return bound;
}

}  // namespace

int run_proxy(const ProxyOptions& options) {
  const std::optional<LogLevel> level = parse_log_level(options.log_level);
  if (!level) {
    std::cerr << "pillion: --log-level: there is no level " << options.log_level << "\n";
    return 1;
  }
  set_log_level(*level);
  set_log_thread_name("main");
  event::ignore_sigpipe();

  auto bootstrap = xds::load_bootstrap(options.config_path, {options.service_node, options.service_cluster});
  if (!bootstrap) {
    for (const ConfigError& error : bootstrap.error()) std::cerr << "pillion: " << error.to_string() << "\n";
    return 1;
  }
  for (const std::string& warning : bootstrap->warnings) PILLION_LOG(warning, "{}: {}", options.config_path, warning);
  if (options.mode == "validate") {
    std::cout << "configuration '" << options.config_path << "' OK\n";
    return 0;
  }

  StatRegistry registry;
  StatSlab slab;
  registry.attach(slab);
  event::Loop loop(static_cast<uint64_t>(wall_now_us()), slab);
  worker::ServerOptions server_options;
  server_options.concurrency = options.concurrency != 0 ? options.concurrency : event::processors();
  server_options.drain_time = std::chrono::seconds(options.drain_time_s);
  server_options.seed = static_cast<uint64_t>(wall_now_us());
  const std::unique_ptr<worker::Server> server = worker::make_server(loop, registry, server_options);
  server->publish(bootstrap->static_resources);
  if (!all_bound(*server)) return 1;

  Shutdown shutdown(*server, server_options.drain_time);
  const event::SignalWatch on_term(loop, SIGTERM, event::Callback::bind<&Shutdown::begin>(&shutdown));
  const event::SignalWatch on_interrupt(loop, SIGINT, event::Callback::bind<&Shutdown::end>(&shutdown));
  const event::SignalWatch on_usr1(loop, SIGUSR1, event::Callback::bind<&worker::Server::reopen_logs>(server.get()));
  PILLION_LOG(info, "serving {} with {} workers", options.config_path, server_options.concurrency);
  loop.run();
  return 0;
}

}  // namespace pillion::cli
