// What is captured: a plain description of the redirect rules of one pod, and how it is read from flags and from the
// pod annotations that users of Istio and Linkerd know. Nothing here touches the system.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/capture/types.h"
#include "proxy/base/address.h"
#include "proxy/base/config_error.h"

namespace pillion::k8s {

// The ports are the ones that every Istio user has in firewalls and dashboards already.
struct CaptureConfig {
  uint16_t inbound_port = 15006;   // Where connections to the pod are sent.
  uint16_t outbound_port = 15001;  // Where connections of the application are sent.
  // Connections to these are never captured, and neither are those to the two ports above: admin, agent, health,
  // metrics.
  std::vector<uint16_t> proxy_ports = {15000, 15020, 15021, 15090};

  // How the proxy's own connections are told from the application's: by either id, or by a packet mark in place of both
  // (in a user namespace of an ordinary user a second uid may not exist).
  uint32_t proxy_uid = 1337;
  uint32_t proxy_gid = 1337;
  std::optional<PacketMark> proxy_mark;
  bool ipv6 = true;

  bool include_all_inbound_ports = true;
  std::vector<PortRange> include_inbound_ports;  // Used when not all are included; empty then means none.
  std::vector<PortRange> exclude_inbound_ports;
  std::vector<Cidr> exclude_inbound_cidrs;  // By the source address (config.linkerd.io/skip-subnets).

  bool include_all_outbound_cidrs = true;
  std::vector<Cidr> include_outbound_cidrs;       // Used when not all are included; empty then means none.
  std::vector<PortRange> include_outbound_ports;  // Captured whatever their address.
  std::vector<Cidr> exclude_outbound_cidrs;
  std::vector<PortRange> exclude_outbound_ports;

  std::vector<std::string> exclude_interfaces;  // Both directions; a trailing + stands for any suffix (iptables).
  std::vector<std::string> reroute_interfaces;  // What comes in here leaves as outbound (virtual machines: kubevirt).
  std::vector<uint32_t> exclude_uids;           // Applications that are never captured.
  std::vector<uint32_t> exclude_gids;
};

// The same as text, as it stands on a command line. Lists are separated by commas. The names of the flags are the names
// of the members with hyphens; errors name them so.
struct CaptureValues {
  std::string inbound_port = "15006";
  std::string outbound_port = "15001";
  std::string proxy_ports = "15000,15020,15021,15090";
  std::string proxy_uid = "1337";
  std::string proxy_gid = "1337";
  std::string mark;           // "0x539", "1337", "0x500/0xf00"; empty: the ids count.
  std::string ipv6 = "auto";  // "on", "off", "auto": on where the kernel has an IPv6 address in this namespace.
  std::string include_inbound_ports = "*";
  std::string exclude_inbound_ports;
  std::string exclude_inbound_cidrs;
  std::string include_outbound_cidrs = "*";
  std::string include_outbound_ports;
  std::string exclude_outbound_cidrs;
  std::string exclude_outbound_ports;
  std::string exclude_interfaces;
  std::string reroute_interfaces;
  std::string exclude_uids;
  std::string exclude_gids;
  std::vector<std::string> annotations;  // "KEY=VALUE"; what they exclude is added, what they include replaces.
};

// `ipv6_available` answers "auto". The error's path is the flag or the annotation, its reason quotes the value.
std::expected<CaptureConfig, ConfigError> parse_capture(const CaptureValues& values, bool ipv6_available);

// Whether the annotation is about capture: its prefix is traffic.sidecar.istio.io/, config.linkerd.io/skip- or
// capture.pillion.dev/. Such a key that is not known, or a value that is not valid, is an error of the next function.
bool is_capture_annotation(std::string_view key);

// The check alone, for the injector: errors appear where the pod is written and not when it starts.
std::expected<void, ConfigError> check_capture_annotation(std::string_view key, std::string_view value);

}  // namespace pillion::k8s
