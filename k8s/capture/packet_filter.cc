#include "k8s/capture/packet_filter.h"

#include <arpa/inet.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "k8s/capture/process.h"

namespace pillion::k8s {
namespace {

constexpr const char* kAddressFile = "/proc/net/if_inet6";
constexpr const char* kWaitSeconds = "10";  // For the lock that the legacy back end takes.

std::expected<std::string, CaptureError> program(Family family, const std::string& verb) {
  const std::string base = family == Family::v4 ? "iptables" : "ip6tables";
  const std::string found = find_program({base + "-nft-" + verb, base + "-" + verb});
  if (found.empty()) {
    return std::unexpected(CaptureError{base + "-" + verb + " is not installed: install the package iptables"});
  }
  return found;
}

std::expected<std::string, CaptureError> run(const std::vector<std::string>& argv, std::string_view input) {
  auto result = run_process(argv, input);
  if (!result) return std::unexpected(CaptureError{result.error()});
  if (result->exit_status == 0) return std::move(result->output);
  std::string text = result->errors;
  while (text.ends_with('\n')) text.pop_back();
  if (text.empty()) text = "it printed no reason";
  return std::unexpected(
      CaptureError{argv[0] + " failed with status " + std::to_string(result->exit_status) + ": " + text});
}

// Adds or removes by the classic ioctl, since the image that runs us may have no `ip` program.
std::expected<void, CaptureError> change_bind_address(unsigned long request, int harmless_error) {
  const char* address = inbound_bind_address(Family::v6);
  const auto fail = [&](const char* doing) {
    return std::unexpected(CaptureError{std::string(doing) + " of " + address + " on lo: " + std::strerror(errno)});
  };
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return fail("socket for the address");
  in6_ifreq change{};
  inet_pton(AF_INET6, address, &change.ifr6_addr);
  change.ifr6_prefixlen = 128;
  change.ifr6_ifindex = static_cast<int>(if_nametoindex("lo"));
  const int result = ioctl(fd, request, &change);
  const int error = errno;
  close(fd);
  if (result == 0 || error == harmless_error) return {};
  errno = error;
  return fail(request == SIOCSIFADDR ? "addition" : "removal");
}

}  // namespace

std::expected<std::string, CaptureError> SystemPacketFilter::save(Family family) {
  const auto path = program(family, "save");
  if (!path) return std::unexpected(path.error());
  return run({*path, "-t", "nat"}, "");
}

std::expected<void, CaptureError> SystemPacketFilter::restore(Family family, std::string_view input) {
  const auto path = program(family, "restore");
  if (!path) return std::unexpected(path.error());
  const auto done = run({*path, "--noflush", "-w", kWaitSeconds}, input);
  if (!done) return std::unexpected(done.error());
  return {};
}

bool SystemPacketFilter::has_bind_address() {
  std::ifstream file(kAddressFile);
  // One address a line: 32 hex digits, index, prefix length, scope, flags, interface.
  std::string digits, index, length, scope, flags, interface;
  while (file >> digits >> index >> length >> scope >> flags >> interface) {
    if (digits == "00000000000000000000000000000006" && interface == "lo") return true;
  }
  return false;
}

std::expected<void, CaptureError> SystemPacketFilter::add_bind_address() {
  return change_bind_address(SIOCSIFADDR, EEXIST);
}

std::expected<void, CaptureError> SystemPacketFilter::remove_bind_address() {
  return change_bind_address(SIOCDIFADDR, EADDRNOTAVAIL);
}

bool ipv6_available() {
  std::ifstream file(kAddressFile);
  std::string first;
  return static_cast<bool>(file >> first);
}

}  // namespace pillion::k8s
