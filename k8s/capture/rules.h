// The redirect rules: what a CaptureConfig means to a connection, as iptables rules. Pure.
//
//   PREROUTING -> PILLION_INBOUND  -> PILLION_IN_REDIRECT   to the inbound port
//   OUTPUT     -> PILLION_OUTPUT   -> PILLION_REDIRECT      to the outbound port
//                        └-> PILLION_INBOUND                the proxy calls its own pod (the application its own
//                        service)
//
// The first rule that fits decides. Leaving alone is RETURN: rules of others after ours still see the connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/capture/config.h"

namespace pillion::k8s {

enum class Family : uint8_t { v4, v6 };
const char* name_of(Family family);  // "IPv4", "IPv6"

// The proxy binds its inbound upstream connections to this address of lo, and by it they are known and never captured
// again. 127.0.0.6 is there by nature, ::6 has to be added.
const char* inbound_bind_address(Family family);

struct Rule {
  std::string chain;
  std::string spec;  // As iptables-save prints it after "-A CHAIN ".
  friend bool operator==(const Rule&, const Rule&) = default;
};

// The four chains above; all else in a table belongs to others.
const std::vector<std::string>& capture_chains();
bool is_capture_chain(std::string_view name);

// The two jumps from the built-in chains, and then the rules of our chains in order. None for IPv6 when config.ipv6 is
// off.
std::vector<Rule> wanted_rules(const CaptureConfig& config, Family family);

}  // namespace pillion::k8s
