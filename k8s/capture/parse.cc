#include "k8s/capture/parse.h"

#include <charconv>
#include <limits>
#include <optional>

namespace pillion::k8s {
namespace {

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// The value goes back to a person, so a hostile or pasted one is cut and made printable.
std::string quoted(std::string_view text) {
  constexpr size_t kMaxShown = 64;
  std::string out = "\"";
  for (const char c : text.substr(0, kMaxShown)) out += (c >= ' ' && c < 0x7f) ? c : '?';
  if (text.size() > kMaxShown) out += "...";
  return out + "\"";
}

std::optional<uint64_t> number(std::string_view text, int base = 10) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Calls `add` for each item; `add` returns the reason why the item is wrong, or nothing.
template <typename Add>
Parsed<void> for_each_item(std::string_view text, size_t limit, Add add) {
  if (text.size() > kMaxListBytes) return std::unexpected("is longer than " + std::to_string(kMaxListBytes) + " bytes");
  if (trimmed(text).empty()) return {};
  size_t count = 0;
  for (size_t start = 0; start <= text.size();) {
    size_t end = text.find(',', start);
    if (end == std::string_view::npos) end = text.size();
    const std::string_view item = trimmed(text.substr(start, end - start));
    if (item.empty()) return std::unexpected(quoted(text) + " has an empty item");
    if (++count > limit) return std::unexpected("has more than " + std::to_string(limit) + " items");
    if (std::string reason = add(item); !reason.empty()) return std::unexpected(std::move(reason));
    start = end + 1;
  }
  return {};
}

Parsed<PortRange> parse_port_range(std::string_view item) {
  const size_t dash = item.find('-');
  const auto first = parse_port(item.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : parse_port(item.substr(dash + 1));
  if (!first || !last) {
    return std::unexpected(quoted(item) + " is not a port: give 1 to 65535, or a range such as 8000-8100");
  }
  if (*first > *last) return std::unexpected(quoted(item) + " is a range that ends before it begins");
  return PortRange{*first, *last};
}

// iptables masks the address itself and prints it so; the same here keeps what is wanted equal to what is found.
Cidr masked(const Cidr& cidr) {
  sockaddr_storage storage{};
  cidr.base.to_sockaddr(storage);
  auto* socket_address = reinterpret_cast<sockaddr*>(&storage);
  const bool v4 = cidr.base.family() == AF_INET;
  auto* bytes = v4 ? reinterpret_cast<uint8_t*>(&reinterpret_cast<sockaddr_in*>(socket_address)->sin_addr)
                   : reinterpret_cast<uint8_t*>(&reinterpret_cast<sockaddr_in6*>(socket_address)->sin6_addr);
  for (size_t bit = cidr.length; bit < (v4 ? 32u : 128u); ++bit)
    bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> bit % 8));
  return Cidr{Address::from_sockaddr(socket_address).value_or(cidr.base), cidr.length};
}

bool is_interface_name(std::string_view name) {
  if (name.ends_with('+')) name.remove_suffix(1);
  if (name.empty() || name.size() > kMaxInterfaceNameBytes || name == "." || name == "..") return false;
  for (const char c : name) {
    const bool letter_or_digit = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter_or_digit && std::string_view("_-.:@").find(c) == std::string_view::npos) return false;
  }
  return name.front() != '-';  // iptables would take it for an option.
}

}  // namespace

Parsed<uint16_t> parse_port(std::string_view text) {
  const auto value = number(text);
  if (!value || *value == 0 || *value > 65535) {
    return std::unexpected(quoted(text) + " is not a port: give a number from 1 to 65535");
  }
  return static_cast<uint16_t>(*value);
}

Parsed<uint32_t> parse_id(std::string_view text) {
  const auto value = number(text);
  // The largest value means "unchanged" to the kernel and belongs to nobody.
  if (!value || *value >= std::numeric_limits<uint32_t>::max()) {
    return std::unexpected(quoted(text) + " is not a numeric id: give 0 to 4294967294");
  }
  return static_cast<uint32_t>(*value);
}

Parsed<PacketMark> parse_mark(std::string_view text) {
  const auto part = [](std::string_view digits) -> std::optional<uint32_t> {
    const bool hex = digits.starts_with("0x") || digits.starts_with("0X");
    const auto value = hex ? number(digits.substr(2), 16) : number(digits);
    if (!value || *value > std::numeric_limits<uint32_t>::max()) return std::nullopt;
    return static_cast<uint32_t>(*value);
  };
  const size_t slash = text.find('/');
  const auto value = part(text.substr(0, slash));
  const auto mask = slash == std::string_view::npos ? 0xffffffffu : part(text.substr(slash + 1));
  if (!value || !mask) {
    return std::unexpected(quoted(text) + " is not a packet mark: give a 32-bit number such as 0x539 or 0x500/0xf00");
  }
  if (*value == 0)
    return std::unexpected(quoted(text) + " would match every packet that has no mark: give another value");
  if ((*value & ~*mask) != 0) return std::unexpected(quoted(text) + " has bits outside its own mask and never matches");
  return PacketMark{*value, *mask};
}

Parsed<std::vector<PortRange>> parse_ports(std::string_view text) {
  std::vector<PortRange> ports;
  const auto done = for_each_item(text, kMaxPortItems, [&](std::string_view item) -> std::string {
    const auto range = parse_port_range(item);
    if (!range) return range.error();
    ports.push_back(*range);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return ports;
}

Parsed<std::vector<uint16_t>> parse_single_ports(std::string_view text) {
  std::vector<uint16_t> ports;
  const auto done = for_each_item(text, kMaxPortItems, [&](std::string_view item) -> std::string {
    const auto port = parse_port(item);
    if (!port) return port.error();
    ports.push_back(*port);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return ports;
}

Parsed<std::vector<Cidr>> parse_cidrs(std::string_view text) {
  std::vector<Cidr> cidrs;
  const auto done = for_each_item(text, kMaxCidrs, [&](std::string_view item) -> std::string {
    const auto cidr = Cidr::parse(item);
    if (!cidr) return quoted(item) + " is not a network: give an address with a prefix length, such as 10.0.0.0/8";
    // The inet_pton form of a mapped address is an IPv6 network that no packet on the wire ever has.
    if (item.find(':') != std::string_view::npos && item.find('.') != std::string_view::npos) {
      return quoted(item) + " mixes IPv4 and IPv6: write the IPv4 network itself";
    }
    cidrs.push_back(masked(*cidr));
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return cidrs;
}

Parsed<std::vector<std::string>> parse_interfaces(std::string_view text) {
  std::vector<std::string> names;
  const auto done = for_each_item(text, kMaxInterfaces, [&](std::string_view item) -> std::string {
    if (!is_interface_name(item)) return quoted(item) + " is not the name of a network interface";
    names.emplace_back(item);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return names;
}

Parsed<std::vector<uint32_t>> parse_ids(std::string_view text) {
  std::vector<uint32_t> ids;
  const auto done = for_each_item(text, kMaxOwnerIds, [&](std::string_view item) -> std::string {
    const auto id = parse_id(item);
    if (!id) return id.error();
    ids.push_back(*id);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return ids;
}

}  // namespace pillion::k8s
