#include "k8s/capture/capture.h"

#include "k8s/capture/nat_table.h"

namespace pillion::k8s {
namespace {

// A machine without IPv6 often has no ip6tables either, and then no rules of ours can be there. That is an error only
// for someone who wants such rules.
std::expected<NatTable, CaptureError> live_table(Family family, bool needed, PacketFilter& filter) {
  const auto text = filter.save(family);
  if (text) return parse_nat_table(*text);
  if (needed) return std::unexpected(text.error());
  return NatTable{};
}

std::expected<bool, CaptureError> apply_family(const CaptureConfig& config, Family family, PacketFilter& filter) {
  const auto live = live_table(family, family == Family::v4 || config.ipv6, filter);
  if (!live) return std::unexpected(live.error());
  if (differences(config, family, *live).empty()) return false;
  const std::string input = render_update(config, family, *live);
  if (auto done = filter.restore(family, input); !done) return std::unexpected(done.error());
  return true;
}

std::expected<bool, CaptureError> set_bind_address(bool wanted, PacketFilter& filter) {
  if (filter.has_bind_address() == wanted) return false;
  const auto done = wanted ? filter.add_bind_address() : filter.remove_bind_address();
  if (!done) return std::unexpected(done.error());
  return true;
}

}  // namespace

std::expected<bool, CaptureError> apply(const CaptureConfig& config, PacketFilter& filter) {
  bool changed = false;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto done = apply_family(config, family, filter);
    if (!done) return std::unexpected(done.error());
    changed = changed || *done;
  }
  const auto address = set_bind_address(config.ipv6, filter);
  if (!address) return std::unexpected(address.error());
  if (!changed) return *address;

  // iptables-restore may succeed and yet not do what was meant (a kernel without a match, a second writer).
  const auto left = verify(config, filter);
  if (!left) return std::unexpected(left.error());
  if (!left->empty()) return std::unexpected(CaptureError{"the rules were written but differ: " + left->front()});
  return true;
}

std::expected<std::vector<std::string>, CaptureError> verify(const CaptureConfig& config, PacketFilter& filter) {
  std::vector<std::string> all;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto live = live_table(family, family == Family::v4 || config.ipv6, filter);
    if (!live) return std::unexpected(live.error());
    for (const std::string& difference : differences(config, family, *live)) {
      all.push_back(std::string(name_of(family)) + " " + difference);
    }
  }
  if (filter.has_bind_address() != config.ipv6) {
    all.push_back(std::string("IPv6 address ") + inbound_bind_address(Family::v6) +
                  (config.ipv6 ? " is not on lo" : " is on lo, where IPv6 is off"));
  }
  return all;
}

std::expected<bool, CaptureError> clean(PacketFilter& filter) {
  bool changed = false;
  for (const Family family : {Family::v4, Family::v6}) {
    const auto live = live_table(family, family == Family::v4, filter);
    if (!live) return std::unexpected(live.error());
    const std::string input = render_clean(*live);
    if (input.empty()) continue;
    if (auto done = filter.restore(family, input); !done) return std::unexpected(done.error());
    changed = true;
  }
  const auto address = set_bind_address(false, filter);
  if (!address) return std::unexpected(address.error());
  return changed || *address;
}

}  // namespace pillion::k8s
