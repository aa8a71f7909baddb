// A socket address as a plain value: IPv4, IPv6 or a Unix socket's path.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/base/rare.h"

namespace pillion {

class Address {
 public:
  Address() = default;  // none
  static std::optional<Address> parse_ip(std::string_view ip,
                                         uint16_t port);          // "10.0.0.1", "::1"; no brackets, no zone
  static std::optional<Address> parse(std::string_view ip_port);  // "10.0.0.1:80", "[::1]:80"
  static Address pipe(std::string path);
  static std::optional<Address> from_sockaddr(const sockaddr* sa);

  bool is_none() const { return family_ == AF_UNSPEC; }
  bool is_ip() const { return family_ == AF_INET || family_ == AF_INET6; }
  bool is_pipe() const { return family_ == AF_UNIX; }
  bool is_loopback() const;
  bool is_any() const;  // 0.0.0.0 or ::
  int family() const { return family_; }
  uint16_t port() const { return port_; }
  void set_port(uint16_t port) { port_ = port; }
  const std::string& path() const { return *path_; }
  const uint8_t* bytes() const { return bytes_.data(); }  // 4 or 16, network order
  bool same_ip(const Address& other) const;

  socklen_t to_sockaddr(sockaddr_storage& out) const;
  std::string ip() const;         // without port; the path for a pipe
  std::string to_string() const;  // "10.0.0.1:80", "[::1]:80", "/run/x.sock"

  friend bool operator==(const Address& a, const Address& b);

 private:
  uint16_t family_ = AF_UNSPEC;
  uint16_t port_ = 0;
  std::array<uint8_t, 16> bytes_{};  // no plain array, which the compiler copies octet by octet
  Rare<std::string> path_;
};

static_assert(sizeof(Address) <= 32);  // of each endpoint and each connection there are several

// An IP prefix, `10.0.0.0/8`. IPv4-mapped IPv6 addresses are compared as IPv4.
struct Cidr {
  Address base;
  uint8_t length = 0;
  bool contains(const Address& a) const;
  static std::optional<Cidr> parse(std::string_view prefix);  // "10.0.0.0/8"; a bare address is a /32 or /128
};

struct AddressHash {
  size_t operator()(const Address& a) const;
};

}  // namespace pillion
