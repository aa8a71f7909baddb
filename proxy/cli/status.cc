#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"
#include "xds/control/command.h"

namespace pillion::cli {

void add_status(CLI::App& app, Run& run) {
  auto options = std::make_shared<xds::control::StatusOptions>();
  CLI::App* status = app.add_subcommand("status", "Shows the control plane's revision and every connected proxy");
  status->add_option("--admin", options->admin, "IP:PORT of its admin server")->capture_default_str();
  status->final_callback(
      [options, &run] { run = [options] { return xds::control::run_status(*options, std::cout, std::cerr); }; });
}

}  // namespace pillion::cli
