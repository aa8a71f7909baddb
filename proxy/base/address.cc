#include "proxy/base/address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <string_view>

namespace pillion {
namespace {

constexpr uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

template <class T>
std::optional<T> parse_number(std::string_view s, T max) {
  unsigned value = 0;
  auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), value);
  if (ec != std::errc() || end != s.data() + s.size() || value > max) return std::nullopt;
  return static_cast<T>(value);
}

}  // namespace

std::optional<Address> Address::parse_ip(std::string_view ip, uint16_t port) {
  char text[INET6_ADDRSTRLEN];
  if (ip.size() >= sizeof(text)) return std::nullopt;
  std::memcpy(text, ip.data(), ip.size());
  text[ip.size()] = '\0';
  Address a;
  a.port_ = port;
  if (inet_pton(AF_INET, text, a.bytes_.data()) == 1) {
    a.family_ = AF_INET;
    return a;
  }
  if (inet_pton(AF_INET6, text, a.bytes_.data()) == 1) {
    a.family_ = AF_INET6;
    return a;
  }
  return std::nullopt;
}

std::optional<Address> Address::parse(std::string_view ip_port) {
  const size_t colon = ip_port.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::string_view ip = ip_port.substr(0, colon);
  if (!ip.empty() && ip.front() == '[') {
    if (ip.size() < 2 || ip.back() != ']') return std::nullopt;
    ip = ip.substr(1, ip.size() - 2);
  }
  const auto port = parse_number<uint16_t>(ip_port.substr(colon + 1), 65535);
  if (!port) return std::nullopt;
  return parse_ip(ip, *port);
}

Address Address::pipe(std::string path) {
  Address a;
  a.family_ = AF_UNIX;
  a.path_ = std::move(path);
  return a;
}

std::optional<Address> Address::from_sockaddr(const sockaddr* sa) {
  Address a;
  a.family_ = sa->sa_family;
  if (sa->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, sa, sizeof(in));
    a.port_ = ntohs(in.sin_port);
    std::memcpy(a.bytes_.data(), &in.sin_addr, 4);
    return a;
  }
  if (sa->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, sa, sizeof(in));
    a.port_ = ntohs(in.sin6_port);
    std::memcpy(a.bytes_.data(), &in.sin6_addr, 16);
    if (std::memcmp(a.bytes_.data(), kMappedPrefix, 12) == 0) {  // a dual-stack socket shows IPv4 peers like this
      a.family_ = AF_INET;
      std::memmove(a.bytes_.data(), a.bytes_.data() + 12, 4);
      std::memset(a.bytes_.data() + 4, 0, 12);
    }
    return a;
  }
  if (sa->sa_family == AF_UNIX) return pipe({});
  return std::nullopt;
}

bool Address::is_loopback() const {
  if (family_ == AF_INET) return bytes_[0] == 127;
  if (family_ != AF_INET6) return false;
  return std::all_of(bytes_.begin(), bytes_.begin() + 15, [](uint8_t b) { return b == 0; }) && bytes_[15] == 1;
}

bool Address::is_any() const {
  return is_ip() && std::all_of(bytes_.begin(), bytes_.end(), [](uint8_t b) { return b == 0; });
}

bool Address::same_ip(const Address& other) const {
  return family_ == other.family_ && bytes_ == other.bytes_ && path_ == other.path_;
}

bool operator==(const Address& a, const Address& b) {
  return a.same_ip(b) && a.port_ == b.port_;
}

socklen_t Address::to_sockaddr(sockaddr_storage& out) const {
  std::memset(&out, 0, sizeof(out));
  if (family_ == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    std::memcpy(&in.sin_addr, bytes_.data(), 4);
    std::memcpy(&out, &in, sizeof(in));
    return sizeof(in);
  }
  if (family_ == AF_INET6) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port_);
    std::memcpy(&in.sin6_addr, bytes_.data(), 16);
    std::memcpy(&out, &in, sizeof(in));
    return sizeof(in);
  }
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  std::strncpy(un.sun_path, path().c_str(), sizeof(un.sun_path) - 1);
  std::memcpy(&out, &un, sizeof(un));
  return sizeof(un);
}

std::string Address::ip() const {
  if (!is_ip()) return path();
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family_, bytes_.data(), text, sizeof(text));
  return text;
}

std::string Address::to_string() const {
  if (!is_ip()) return path();
  if (family_ == AF_INET6) return "[" + ip() + "]:" + std::to_string(port_);
  return ip() + ":" + std::to_string(port_);
}

bool Cidr::contains(const Address& a) const {
  if (a.family() != base.family() || !a.is_ip()) return false;
  const int whole = length / 8;
  if (std::memcmp(a.bytes(), base.bytes(), static_cast<size_t>(whole)) != 0) return false;
  const int rest = length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((a.bytes()[whole] ^ base.bytes()[whole]) & mask) == 0;
}

std::optional<Cidr> Cidr::parse(std::string_view prefix) {
  const size_t slash = prefix.find('/');
  const auto base = Address::parse_ip(prefix.substr(0, slash), 0);
  if (!base) return std::nullopt;
  const uint8_t max = base->family() == AF_INET ? 32 : 128;
  if (slash == std::string_view::npos) return Cidr{*base, max};
  const auto length = parse_number<uint8_t>(prefix.substr(slash + 1), max);
  if (!length) return std::nullopt;
  return Cidr{*base, *length};
}

size_t AddressHash::operator()(const Address& a) const {
  if (a.is_pipe()) return std::hash<std::string>()(a.path());
  const std::string_view bytes(reinterpret_cast<const char*>(a.bytes()), 16);
  return std::hash<std::string_view>()(bytes) * 31 + a.port();
}

}  // namespace pillion
