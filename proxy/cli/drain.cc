#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "k8s/inject/drain_command.h"
#include "proxy/cli/commands.h"

namespace pillion::cli {

void add_drain(CLI::App& app, Run& run) {
  auto options = std::make_shared<k8s::DrainOptions>();
  CLI::App* drain = app.add_subcommand("drain", "Tells the proxy to take no new inbound connections (a preStop hook)");
  drain->add_option("--admin", options->admin, "HOST:PORT of its admin server")->capture_default_str();
  drain->final_callback(
      [options, &run] { run = [options] { return k8s::run_drain(*options, std::cout, std::cerr); }; });
}

}  // namespace pillion::cli
