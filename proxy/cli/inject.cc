#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "k8s/capture/config.h"
#include "k8s/inject/command.h"
#include "proxy/cli/commands.h"

namespace pillion::cli {

void add_inject(CLI::App& app, Run& run) {
  auto options = std::make_shared<k8s::InjectOptions>();
  k8s::InjectConfig& config = options->config;
  config.is_capture_annotation = k8s::is_capture_annotation;
  config.check_capture_annotation = k8s::check_capture_annotation;
  CLI::App* inject = app.add_subcommand("inject", "Prints Kubernetes manifests with the init step and the sidecar");
  inject->add_option("-f,--filename", options->files, "A manifest; - is the standard input")->allow_extra_args(false);
  inject->add_option("--image", config.image, "The sidecar's image")->capture_default_str();
  inject->add_option("--image-pull-policy", config.image_pull_policy, "As Kubernetes has it")->capture_default_str();
  inject->add_option("--control-plane", config.control_plane, "HOST:PORT")->capture_default_str();
  inject->add_option("--concurrency", config.concurrency, "Worker threads; 0: the proxy decides");
  inject->add_option("-l,--log-level", config.log_level, "Of the sidecar")->capture_default_str();
  inject->add_flag("--rewrite-probes", config.rewrite_probes, "Sends the kubelet's probes to the proxy");
  inject->final_callback(
      [options, &run] { run = [options] { return k8s::run_inject(*options, std::cout, std::cerr); }; });
}

}  // namespace pillion::cli
