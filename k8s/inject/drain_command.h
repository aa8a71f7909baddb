// `pillion drain`: the other end of the preStop hook that the injector writes. Asks the proxy of this pod to turn new
// inbound connections away and to end the old ones gracefully, and returns at once; the proxy goes on until SIGTERM.
//
//   --admin ADDR         127.0.0.1:15000   the proxy's admin address
//
// Exit status: 0 the proxy drains, 1 it could not be told (the reason goes to the standard error).
#pragma once

#include <ostream>
#include <string>

namespace pillion::k8s {

struct DrainOptions {
  std::string admin = "127.0.0.1:15000";
};

int run_drain(const DrainOptions& options, std::ostream& out, std::ostream& err);

}  // namespace pillion::k8s
