#include "k8s/capture/rules.h"

#include <algorithm>
#include <cstdio>

namespace pillion::k8s {
namespace {

constexpr const char* kInbound = "PILLION_INBOUND";
constexpr const char* kOutput = "PILLION_OUTPUT";
constexpr const char* kRedirect = "PILLION_REDIRECT";
constexpr const char* kInRedirect = "PILLION_IN_REDIRECT";

std::string port_match(PortRange range) {
  std::string text = "-p tcp -m tcp --dport " + std::to_string(range.first);
  if (range.last != range.first) text += ":" + std::to_string(range.last);
  return text;
}

bool is_of(const Cidr& cidr, Family family) {
  return (cidr.base.family() == AF_INET) == (family == Family::v4);
}

// A network of length 0 is every address, and iptables-save prints no address then.
std::string cidr_match(const char* option, const Cidr& cidr) {
  if (cidr.length == 0) return "";
  return std::string(option) + " " + cidr.base.ip() + "/" + std::to_string(cidr.length) + " ";
}

// The ways by which the proxy's own packets are known; one of them is enough.
std::vector<std::string> proxy_matches(const CaptureConfig& config) {
  if (!config.proxy_mark) {
    return {"-m owner --uid-owner " + std::to_string(config.proxy_uid),
            "-m owner --gid-owner " + std::to_string(config.proxy_gid)};
  }
  char text[64];
  const PacketMark mark = *config.proxy_mark;
  if (mark.mask == 0xffffffff) {
    std::snprintf(text, sizeof text, "-m mark --mark 0x%x", mark.value);
  } else {
    std::snprintf(text, sizeof text, "-m mark --mark 0x%x/0x%x", mark.value, mark.mask);
  }
  return {text};
}

class RuleList {
 public:
  RuleList(const CaptureConfig& config, Family family) : config_(config), family_(family) {}

  std::vector<Rule> build() {
    add("PREROUTING", std::string("-p tcp -j ") + kInbound);
    add("OUTPUT", std::string("-p tcp -j ") + kOutput);
    add_inbound();
    add_output();
    add(kRedirect, "-p tcp -j REDIRECT --to-ports " + std::to_string(config_.outbound_port));
    add(kInRedirect, "-p tcp -j REDIRECT --to-ports " + std::to_string(config_.inbound_port));
    return std::move(rules_);
  }

 private:
  void add(const char* chain, std::string spec) { rules_.push_back({chain, std::move(spec)}); }
  void leave_alone(const char* chain, const std::string& match) { add(chain, match + " -j RETURN"); }

  void add_inbound() {
    for (const std::string& name : config_.exclude_interfaces) leave_alone(kInbound, "-i " + name);
    for (const std::string& name : config_.reroute_interfaces) add(kInbound, "-i " + name + " -j " + kRedirect);
    for (const uint16_t port : own_ports()) leave_alone(kInbound, port_match({port, port}));
    for (const PortRange& ports : config_.exclude_inbound_ports) leave_alone(kInbound, port_match(ports));
    for (const Cidr& cidr : config_.exclude_inbound_cidrs) {
      if (is_of(cidr, family_)) add(kInbound, cidr_match("-s", cidr) + "-j RETURN");
    }
    if (config_.include_all_inbound_ports) return add(kInbound, std::string("-j ") + kInRedirect);
    for (const PortRange& ports : config_.include_inbound_ports) {
      add(kInbound, port_match(ports) + " -j " + kInRedirect);
    }
  }

  void add_output() {
    const bool v4 = family_ == Family::v4;
    const std::string loopback = v4 ? "127.0.0.0/8" : "::1/128";
    for (const std::string& name : config_.exclude_interfaces) leave_alone(kOutput, "-o " + name);
    // From the proxy's inbound side to the application.
    leave_alone(kOutput, std::string("-s ") + inbound_bind_address(family_) + (v4 ? "/32" : "/128") + " -o lo");
    // The application calls its own service and the proxy picked this pod: the way in must be the one that all other
    // pods take, with its TLS and its exclusions. What PILLION_INBOUND leaves alone falls to the next rule.
    for (const std::string& proxy : proxy_matches(config_)) {
      add(kOutput, "! -d " + loopback + " -o lo " + proxy + " -j " + kInbound);
    }
    for (const std::string& proxy : proxy_matches(config_)) leave_alone(kOutput, proxy);
    // The application talks to itself, be it by loopback or by the pod's own address.
    leave_alone(kOutput, "-o lo");
    leave_alone(kOutput, "-d " + loopback);
    for (const uint32_t id : config_.exclude_uids) leave_alone(kOutput, "-m owner --uid-owner " + std::to_string(id));
    for (const uint32_t id : config_.exclude_gids) leave_alone(kOutput, "-m owner --gid-owner " + std::to_string(id));
    add_outbound_destinations();
  }

  // What is left is the application's traffic to the outside.
  void add_outbound_destinations() {
    for (const PortRange& ports : config_.exclude_outbound_ports) leave_alone(kOutput, port_match(ports));
    for (const PortRange& ports : config_.include_outbound_ports) add(kOutput, port_match(ports) + " -j " + kRedirect);
    for (const Cidr& cidr : config_.exclude_outbound_cidrs) {
      if (is_of(cidr, family_)) add(kOutput, cidr_match("-d", cidr) + "-j RETURN");
    }
    if (config_.include_all_outbound_cidrs) return add(kOutput, std::string("-j ") + kRedirect);
    for (const Cidr& cidr : config_.include_outbound_cidrs) {
      if (is_of(cidr, family_)) add(kOutput, cidr_match("-d", cidr) + "-j " + kRedirect);
    }
  }

  std::vector<uint16_t> own_ports() const {
    std::vector<uint16_t> ports = config_.proxy_ports;
    ports.push_back(config_.inbound_port);
    ports.push_back(config_.outbound_port);
    std::sort(ports.begin(), ports.end());
    ports.erase(std::unique(ports.begin(), ports.end()), ports.end());
    return ports;
  }

  const CaptureConfig& config_;
  Family family_;
  std::vector<Rule> rules_;
};

}  // namespace

const char* name_of(Family family) {
  return family == Family::v4 ? "IPv4" : "IPv6";
}

const char* inbound_bind_address(Family family) {
  return family == Family::v4 ? "127.0.0.6" : "::6";
}

const std::vector<std::string>& capture_chains() {
  static const std::vector<std::string> chains = {kInbound, kOutput, kRedirect, kInRedirect};
  return chains;
}

bool is_capture_chain(std::string_view name) {
  return std::find(capture_chains().begin(), capture_chains().end(), name) != capture_chains().end();
}

std::vector<Rule> wanted_rules(const CaptureConfig& config, Family family) {
  if (family == Family::v6 && !config.ipv6) return {};
  return RuleList(config, family).build();
}

}  // namespace pillion::k8s
