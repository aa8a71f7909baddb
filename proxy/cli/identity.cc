#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "certs/command.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/time_option.h"

namespace pillion::cli {

void add_identity(CLI::App& app, Run& run) {
  auto options = std::make_shared<certs::IdentityCommandOptions>();
  CLI::App* identity = app.add_subcommand("identity", "Keeps a certificate of the mesh as files, for other programs");
  identity->add_option("--token", options->token, "Of `pillion token`; @FILE reads it from there")
      ->envname("PILLION_JOIN_TOKEN");
  identity->add_option("--out", options->out_dir, "The directory of cert.pem, key.pem and ca.pem")->required();
  identity->add_option("--control-plane", options->control_plane, "HOST:PORT; what the token says if it is not given");
  add_seconds(*identity, "--ttl", options->lifetime_seconds, "To ask for, as 90s, 15m or 1h");
  identity->add_flag("--once", options->once, "Ends with the first certificate");
  identity->final_callback([options, &run] { run = [options] { return certs::run_identity(*options, std::cerr); }; });
}

}  // namespace pillion::cli
