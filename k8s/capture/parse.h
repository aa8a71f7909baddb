// Readers of single values and of lists, for config.cc. Each takes the whole text and says in one sentence what is
// wrong with which part of it.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/capture/types.h"
#include "proxy/base/address.h"

namespace pillion::k8s {

template <typename T>
using Parsed = std::expected<T, std::string>;  // The error is the reason alone; the caller knows the place.

Parsed<uint16_t> parse_port(std::string_view text);
Parsed<uint32_t> parse_id(std::string_view text);
Parsed<PacketMark> parse_mark(std::string_view text);

// Empty text is an empty list; blanks around an item are allowed, an empty item is not.
Parsed<std::vector<PortRange>> parse_ports(std::string_view text);
Parsed<std::vector<uint16_t>> parse_single_ports(std::string_view text);
Parsed<std::vector<Cidr>> parse_cidrs(std::string_view text);
Parsed<std::vector<std::string>> parse_interfaces(std::string_view text);
Parsed<std::vector<uint32_t>> parse_ids(std::string_view text);

}  // namespace pillion::k8s
