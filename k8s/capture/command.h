// `pillion init`: writes, shows, checks or removes the redirect rules of the network namespace that it runs in.
//
//   --inbound-port PORT            15006   where connections to the pod are sent
//   --outbound-port PORT           15001   where connections of the application are sent
//   --proxy-ports LIST             15000,15020,15021,15090   the proxy's own ports, never captured (with the two above)
//   --proxy-uid ID                 1337    the proxy's own connections, which leave untouched
//   --proxy-gid ID                 1337    the same by group
//   --mark MARK[/MASK]             -       the proxy's own connections by packet mark, in place of both ids
//   --ipv6 on|off|auto             auto    auto: on where an interface has an IPv6 address
//   --include-inbound-ports LIST   *       ports or ranges; "" captures none
//   --exclude-inbound-ports LIST   ""      ports or ranges, such as 22,9000-9100
//   --exclude-inbound-cidrs LIST   ""      by the source address
//   --include-outbound-cidrs LIST  *       networks of either family; "" captures none
//   --include-outbound-ports LIST  ""      captured whatever their address
//   --exclude-outbound-cidrs LIST  ""
//   --exclude-outbound-ports LIST  ""
//   --exclude-interfaces LIST      ""      both directions; eth+ stands for all names that begin with eth
//   --reroute-interfaces LIST      ""      what comes in here is captured as outbound (virtual machines)
//   --exclude-uids LIST            ""      applications that are never captured
//   --exclude-gids LIST            ""
//   --annotation KEY=VALUE         -       repeatable:
//   traffic.sidecar.istio.io/{include,exclude}{Inbound,Outbound}Ports,
//                                          .../{include,exclude}OutboundIPRanges, .../excludeInterfaces,
//                                          .../kubevirtInterfaces, config.linkerd.io/skip-{inbound-ports,
//                                          outbound-ports,subnets}, capture.pillion.dev/<name of a list flag above>;
//                                          what they exclude adds to the flags, what they include replaces them
//   --dry-run                              prints the rules and touches nothing
//   --verify                               compares: status 0 when equal, 1 and the differences when not
//   --clean                                removes what `pillion init` made, and nothing else
//
// The last three exclude each other. Exit status: 0 done or equal, 1 failed or different, 2 a value is not valid.
#pragma once

#include <cstdint>
#include <ostream>

#include "k8s/capture/config.h"

namespace pillion::k8s {

class PacketFilter;

enum class InitAction : uint8_t { apply, dry_run, verify, clean };

struct InitOptions {
  CaptureValues values;
  InitAction action = InitAction::apply;
};

int run_init(const InitOptions& options, std::ostream& out, std::ostream& err);

// The same on a given packet filter, for tests.
int run_init(const InitOptions& options, bool ipv6_available, PacketFilter& filter, std::ostream& out,
             std::ostream& err);

}  // namespace pillion::k8s
