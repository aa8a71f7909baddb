// The system side of capture: the nat tables of the network namespace that we run in, and the address ::6 on lo. An
// interface, so that the logic above it is tested without a kernel.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "k8s/capture/rules.h"

namespace pillion::k8s {

// What the system or a program it ran said, with the program's name; more than one line where iptables prints more.
struct CaptureError {
  std::string reason;
};

class PacketFilter {
 public:
  virtual ~PacketFilter() = default;

  // The nat table as iptables-save prints it.
  virtual std::expected<std::string, CaptureError> save(Family family) = 0;
  // Feeds `iptables-restore --noflush`: all of it takes effect at once, or nothing.
  virtual std::expected<void, CaptureError> restore(Family family, std::string_view input) = 0;

  // Whether inbound_bind_address(Family::v6) is on lo.
  virtual bool has_bind_address() = 0;
  virtual std::expected<void, CaptureError> add_bind_address() = 0;
  virtual std::expected<void, CaptureError> remove_bind_address() = 0;
};

// The real one. Programs: iptables-nft-{save,restore} where they exist, else iptables-{save,restore}; ip6tables alike.
// Needs CAP_NET_ADMIN and CAP_NET_RAW in the namespace. Calls block.
class SystemPacketFilter final : public PacketFilter {
 public:
  std::expected<std::string, CaptureError> save(Family family) override;
  std::expected<void, CaptureError> restore(Family family, std::string_view input) override;
  bool has_bind_address() override;
  std::expected<void, CaptureError> add_bind_address() override;
  std::expected<void, CaptureError> remove_bind_address() override;
};

// Whether this namespace has IPv6: any interface, lo included, has an IPv6 address. What --ipv6=auto asks.
bool ipv6_available();

}  // namespace pillion::k8s
