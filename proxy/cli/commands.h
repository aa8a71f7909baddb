// The subcommands of the binary. Each adds itself to the command line and leaves in `run` what to do when it is chosen.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace pillion::cli {

using Run = std::function<int()>;  // made once, while the command line is read

void add_proxy(CLI::App& app, Run& run);   // cli/proxy.h
void add_init(CLI::App& app, Run& run);    // k8s/capture/command.h
void add_inject(CLI::App& app, Run& run);  // k8s/inject/command.h
void add_drain(CLI::App& app, Run& run);   // k8s/inject/drain_command.h

void add_control(CLI::App& app, Run& run);   // xds/control/command.h
void add_status(CLI::App& app, Run& run);    // xds/control/command.h
void add_token(CLI::App& app, Run& run);     // certs/command.h
void add_identity(CLI::App& app, Run& run);  // certs/command.h

}  // namespace pillion::cli
