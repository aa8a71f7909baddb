#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "proxy/cli/commands.h"
#include "proxy/cli/time_option.h"
#include "xds/control/command.h"

namespace pillion::cli {

void add_control(CLI::App& app, Run& run) {
  auto options = std::make_shared<xds::control::ControlOptions>();
  CLI::App* control = app.add_subcommand("control", "Runs the control plane");
  control->add_option("--config", options->config_dir, "A directory of YAML, watched")->required();
  control->add_option("--state", options->state_dir, "Root, keys and the last good state")->capture_default_str();
  control->add_option("--listen", options->listen, "IP:PORT of ADS and signing, TLS")->capture_default_str();
  control->add_option("--admin", options->admin, "IP:PORT of /ready, /status and /revisions")->capture_default_str();
  control->add_option("--trust-domain", options->trust_domain, "Of every identity")->capture_default_str();
  control->add_option("--cluster-domain", options->cluster_domain, "The tail of service names")->capture_default_str();
  control->add_option("--server-name", options->server_names, "DNS name or IP address in the server's certificate")
      ->allow_extra_args(false)
      ->capture_default_str();
  add_seconds(*control, "--certificate-lifetime", options->certificate_lifetime_seconds, "Of workloads, 2s to 24h");
  control->add_option("--ca-cert", options->ca_cert, "An authority's certificate, with its chain up to the root");
  control->add_option("--ca-key", options->ca_key, "Its key");
  control->add_option("--ca-roots", options->ca_roots, "Further roots to trust");
  control->add_option("-l,--log-level", options->log_level, "trace, debug, info, warning, error, critical, off")
      ->capture_default_str();
  control->final_callback(
      [options, &run] { run = [options] { return xds::control::run_control(*options, std::cerr); }; });
}

}  // namespace pillion::cli
