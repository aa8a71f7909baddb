#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "certs/command.h"
#include "proxy/cli/commands.h"
#include "proxy/cli/time_option.h"

namespace pillion::cli {

void add_token(CLI::App& app, Run& run) {
  auto options = std::make_shared<certs::TokenOptions>();
  CLI::App* token = app.add_subcommand("token", "Prints a token by which a workload joins the mesh");
  token->add_option("--state", options->state_dir, "The control plane's state directory")->capture_default_str();
  token->add_option("--spiffe-id", options->spiffe_id, "spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT")->required();
  add_seconds(*token, "--ttl", options->lifetime_seconds, "How long it may be used, as 90s, 15m, 1h or 2d");
  token->add_option("--address", options->address, "HOST:PORT of the control plane, as the workload sees it")
      ->capture_default_str();
  token->add_flag("--single-use", options->single_use, "It is spent with the first certificate");
  token->final_callback(
      [options, &run] { run = [options] { return certs::run_token(*options, std::cout, std::cerr); }; });
}

}  // namespace pillion::cli
