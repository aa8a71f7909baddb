#include "proxy/net/original_dst.h"

#include <netinet/in.h>
#include <sys/socket.h>

namespace pillion::net {
namespace {

// From <linux/netfilter_ipv4.h> and <linux/netfilter_ipv6/ip6_tables.h>, which do not mix with the C library's headers.
constexpr int kOriginalDst4 = 80;
constexpr int kOriginalDst6 = 80;

}  // namespace

std::optional<Address> original_destination(int fd) {
  sockaddr_storage storage{};
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  socklen_t length = sizeof(storage);
  // A dual-stack socket carries IPv4 too: the kernel knows which table the connection went through.
  if (getsockopt(fd, IPPROTO_IP, kOriginalDst4, address, &length) == 0) return Address::from_sockaddr(address);
  length = sizeof(storage);
  if (getsockopt(fd, IPPROTO_IPV6, kOriginalDst6, address, &length) == 0) return Address::from_sockaddr(address);
  return std::nullopt;
}

}  // namespace pillion::net
