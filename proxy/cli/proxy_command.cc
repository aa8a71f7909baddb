// The command line of `pillion proxy`. Flags that Envoy's start scripts pass are taken where they mean nothing here.
#include <memory>

#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"
#include "proxy/cli/proxy.h"

namespace pillion::cli {

void add_proxy(CLI::App& app, Run& run) {
  auto options = std::make_shared<ProxyOptions>();
  CLI::App* proxy = app.add_subcommand("proxy", "Carries the traffic that a bootstrap file describes");
  proxy->add_option("-c,--config-path", options->config_path, "The bootstrap, Envoy's v3, YAML or JSON")->required();
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
