// The only place that sees everything: it knows the subcommands and runs the one that was asked for.
#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"

int main(int argc, char** argv) {
  CLI::App app{"Pillion, the sidecar proxy of a service mesh"};
  app.require_subcommand(1);
  pillion::cli::Run run;
  pillion::cli::add_proxy(app, run);
  pillion::cli::add_init(app, run);
  pillion::cli::add_inject(app, run);
  pillion::cli::add_drain(app, run);
  pillion::cli::add_control(app, run);
  pillion::cli::add_status(app, run);
  pillion::cli::add_token(app, run);
  pillion::cli::add_identity(app, run);
  CLI11_PARSE(app, argc, argv);
  return run();
}
