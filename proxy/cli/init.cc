#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "k8s/capture/command.h"
#include "proxy/cli/commands.h"

namespace pillion::cli {
namespace {

struct Flags {
  bool dry_run = false;
  bool verify = false;
  bool clean = false;
};

}  // namespace

void add_init(CLI::App& app, Run& run) {
  auto options = std::make_shared<k8s::InitOptions>();
  k8s::CaptureValues& v = options->values;
  CLI::App* init = app.add_subcommand("init", "Writes the rules that redirect a pod's connections to the proxy");
  init->add_option("--inbound-port", v.inbound_port, "Where connections to the pod are sent")->capture_default_str();
  init->add_option("--outbound-port", v.outbound_port, "Where the application's are sent")->capture_default_str();
  init->add_option("--proxy-ports", v.proxy_ports, "The proxy's own ports, never captured")->capture_default_str();
  init->add_option("--proxy-uid", v.proxy_uid, "Its connections leave untouched")->capture_default_str();
  init->add_option("--proxy-gid", v.proxy_gid, "The same by group")->capture_default_str();
  init->add_option("--mark", v.mark, "MARK[/MASK] of the proxy's packets, in place of both ids");
  init->add_option("--ipv6", v.ipv6, "on, off or auto")->capture_default_str();
  init->add_option("--include-inbound-ports", v.include_inbound_ports, "Ports or ranges; * is all");
  init->add_option("--exclude-inbound-ports", v.exclude_inbound_ports, "Ports or ranges, 22,9000-9100");
  init->add_option("--exclude-inbound-cidrs", v.exclude_inbound_cidrs, "By the source address");
  init->add_option("--include-outbound-cidrs", v.include_outbound_cidrs, "Networks; * is all");
  init->add_option("--include-outbound-ports", v.include_outbound_ports, "Captured whatever their address");
  init->add_option("--exclude-outbound-cidrs", v.exclude_outbound_cidrs, "Networks that are not captured");
  init->add_option("--exclude-outbound-ports", v.exclude_outbound_ports, "Ports that are not captured");
  init->add_option("--exclude-interfaces", v.exclude_interfaces, "Both directions; eth+ is a prefix");
  init->add_option("--reroute-interfaces", v.reroute_interfaces, "What comes in here is captured as outbound");
  init->add_option("--exclude-uids", v.exclude_uids, "Applications that are never captured");
  init->add_option("--exclude-gids", v.exclude_gids, "The same by group");
  init->add_option("--annotation", v.annotations, "KEY=VALUE as on a pod; repeatable")->allow_extra_args(false);
  auto flags = std::make_shared<Flags>();
  CLI::Option* dry_run = init->add_flag("--dry-run", flags->dry_run, "Prints the rules and touches nothing");
  CLI::Option* verify = init->add_flag("--verify", flags->verify, "Compares with the live rules; status 1: different");
  CLI::Option* clean = init->add_flag("--clean", flags->clean, "Removes what `pillion init` made, nothing else");
  dry_run->excludes(verify)->excludes(clean);
  verify->excludes(clean);
  init->final_callback([=, &run] {
    options->action = flags->dry_run  ? k8s::InitAction::dry_run
                      : flags->verify ? k8s::InitAction::verify
                      : flags->clean  ? k8s::InitAction::clean
                                      : k8s::InitAction::apply;
    run = [options] { return k8s::run_init(*options, std::cout, std::cerr); };
  });
}

}  // namespace pillion::cli
