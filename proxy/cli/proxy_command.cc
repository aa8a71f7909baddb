// The command line of `pillion proxy`. Flags that Envoy's start scripts pass are taken where they mean nothing here.
#include <memory>

#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"
#include "proxy/cli/proxy.h"

namespace pillion::cli {

void add_proxy(CLI::App& app, Run& run) {
  auto options = std::make_shared<ProxyOptions>();
  CLI::App* proxy = app.add_subcommand("proxy", "Carries the traffic that a bootstrap file describes");
  CLI::Option* file =
      proxy->add_option("-c,--config-path", options->config_path, "The bootstrap, Envoy's v3, YAML or JSON");
  CLI::Option* plane =
      proxy->add_option("--control-plane", options->control_plane, "HOST:PORT, in place of a file: joins its mesh");
  plane->excludes(file);
  proxy->add_option("--join-token-file", options->join_token_file, "What `pillion token` printed; PILLION_TOKEN_FILE")
      ->needs(plane);
  proxy->add_option("--admin", options->admin, "IP:PORT of the admin server")->needs(plane)->capture_default_str();
  proxy->add_option("--ready", options->ready, "IP:PORT of /ready for probes")->needs(plane)->capture_default_str();
  proxy->add_flag("--state-of-the-world", options->state_of_the_world, "That kind of xDS, and not delta")->needs(plane);
  proxy->add_option("--concurrency", options->concurrency, "Worker threads; 0: one per processor");
  proxy->add_option("--service-node", options->service_node, "node.id");
  proxy->add_option("--service-cluster", options->service_cluster, "node.cluster");
  proxy->add_option("-l,--log-level", options->log_level, "trace, debug, info, warning, error, critical or off")
      ->capture_default_str();
  proxy->add_option("--drain-time-s", options->drain_time_s, "From SIGTERM to the end, at most")->capture_default_str();
  proxy->add_option("--mode", options->mode, "serve or validate")
      ->check(CLI::IsMember({"serve", "validate"}))
      ->capture_default_str();
  auto ignored = std::make_shared<std::string>();
  for (const char* flag : {"--base-id", "--restart-epoch", "--parent-shutdown-time-s", "--drain-strategy"}) {
    proxy->add_option(flag, *ignored, "Taken for Envoy's sake, and without effect")->group("");
  }
  auto switched = std::make_shared<bool>();
  for (const char* flag : {"--disable-hot-restart", "--use-dynamic-base-id", "--allow-unknown-static-fields"}) {
    proxy->add_flag(flag, *switched, "Taken for Envoy's sake, and without effect")->group("");
  }
  proxy->final_callback([options, ignored, switched, &run] { run = [options] { return run_proxy(*options); }; });
}

}  // namespace pillion::cli
