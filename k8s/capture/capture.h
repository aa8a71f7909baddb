// Putting the rules in force, checking them, taking them away. Each can be repeated: a second run changes nothing.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "k8s/capture/packet_filter.h"

namespace pillion::k8s {

// Makes the live state the wanted one. IPv4 and IPv6 are one transaction each; where the second fails the first stays
// in force, and the next run goes on from there. Returns whether anything had to be changed.
std::expected<bool, CaptureError> apply(const CaptureConfig& config, PacketFilter& filter);

// One sentence per difference, with the family; empty when the live state is the wanted one. Changes nothing.
std::expected<std::vector<std::string>, CaptureError> verify(const CaptureConfig& config, PacketFilter& filter);

// Removes our chains, the jumps to them and the bind address, of both families and whatever the configuration was.
// Returns whether anything was there.
std::expected<bool, CaptureError> clean(PacketFilter& filter);

}  // namespace pillion::k8s
