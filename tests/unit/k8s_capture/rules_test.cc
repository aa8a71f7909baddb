#include "k8s/capture/rules.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace pillion::k8s {
namespace {

std::vector<std::string> lines(const CaptureConfig& config, Family family, std::string_view chain) {
  std::vector<std::string> out;
  for (const Rule& rule : wanted_rules(config, family)) {
    if (rule.chain == chain) out.push_back(rule.spec);
  }
  return out;
}

ptrdiff_t position(const std::vector<std::string>& list, std::string_view line) {
  return std::find(list.begin(), list.end(), line) - list.begin();
}

Cidr cidr(const char* text) {
  return *Cidr::parse(text);
}

TEST_CASE("capture rules: the default output chain, rule by rule") {
  CHECK(lines({}, Family::v4, "PILLION_OUTPUT") ==
        std::vector<std::string>{
            "-s 127.0.0.6/32 -o lo -j RETURN",
            "! -d 127.0.0.0/8 -o lo -m owner --uid-owner 1337 -j PILLION_INBOUND",
            "! -d 127.0.0.0/8 -o lo -m owner --gid-owner 1337 -j PILLION_INBOUND",
            "-m owner --uid-owner 1337 -j RETURN",
            "-m owner --gid-owner 1337 -j RETURN",
            "-o lo -j RETURN",
            "-d 127.0.0.0/8 -j RETURN",
            "-j PILLION_REDIRECT",
        });
  CHECK(lines({}, Family::v6, "PILLION_OUTPUT").front() == "-s ::6/128 -o lo -j RETURN");
}

TEST_CASE("capture rules: the proxy's own ports are never captured, whichever they are") {
  CaptureConfig config;
  config.inbound_port = 4143;
  config.outbound_port = 4140;
  config.proxy_ports = {4191, 4140};
  CHECK(lines(config, Family::v4, "PILLION_INBOUND") == std::vector<std::string>{
                                                            "-p tcp -m tcp --dport 4140 -j RETURN",
                                                            "-p tcp -m tcp --dport 4143 -j RETURN",
                                                            "-p tcp -m tcp --dport 4191 -j RETURN",
                                                            "-j PILLION_IN_REDIRECT",
                                                        });
  CHECK(lines(config, Family::v4, "PILLION_REDIRECT").front() == "-p tcp -j REDIRECT --to-ports 4140");
  CHECK(lines(config, Family::v4, "PILLION_IN_REDIRECT").front() == "-p tcp -j REDIRECT --to-ports 4143");
}

TEST_CASE("capture rules: exclusions stand before inclusions") {
  CaptureConfig config;
  config.include_all_outbound_cidrs = false;
  config.include_outbound_cidrs = {cidr("10.0.0.0/8")};
  config.exclude_outbound_cidrs = {cidr("10.9.0.0/16")};
  config.include_outbound_ports = {{5432, 5432}};
  config.exclude_outbound_ports = {{5000, 6000}};
  const auto output = lines(config, Family::v4, "PILLION_OUTPUT");
  CHECK(position(output, "-p tcp -m tcp --dport 5000:6000 -j RETURN") <
        position(output, "-p tcp -m tcp --dport 5432 -j PILLION_REDIRECT"));
  CHECK(position(output, "-d 10.9.0.0/16 -j RETURN") < position(output, "-d 10.0.0.0/8 -j PILLION_REDIRECT"));
  CHECK(output.back() == "-d 10.0.0.0/8 -j PILLION_REDIRECT");
}

TEST_CASE("capture rules: a network shows up in its own family alone") {
  CaptureConfig config;
  config.exclude_outbound_cidrs = {cidr("10.0.0.0/8"), cidr("fd00::/8")};
  const auto v4 = lines(config, Family::v4, "PILLION_OUTPUT");
  const auto v6 = lines(config, Family::v6, "PILLION_OUTPUT");
  CHECK(std::count(v4.begin(), v4.end(), "-d 10.0.0.0/8 -j RETURN") == 1);
  CHECK(std::count(v4.begin(), v4.end(), "-d fd00::/8 -j RETURN") == 0);
  CHECK(std::count(v6.begin(), v6.end(), "-d fd00::/8 -j RETURN") == 1);
}

TEST_CASE("capture rules: the network of all addresses has no address match") {
  CaptureConfig config;
  config.include_all_outbound_cidrs = false;
  config.include_outbound_cidrs = {cidr("0.0.0.0/0")};
  CHECK(lines(config, Family::v4, "PILLION_OUTPUT").back() == "-j PILLION_REDIRECT");
  CHECK(lines(config, Family::v6, "PILLION_OUTPUT").back() == "-d ::1/128 -j RETURN");
}

TEST_CASE("capture rules: including nothing captures nothing") {
  CaptureConfig config;
  config.include_all_inbound_ports = false;
  config.include_all_outbound_cidrs = false;
  for (const Family family : {Family::v4, Family::v6}) {
    CHECK(lines(config, family, "PILLION_INBOUND").back() == "-p tcp -m tcp --dport 15090 -j RETURN");
    CHECK(lines(config, family, "PILLION_OUTPUT").back().ends_with("-j RETURN"));
  }
}

TEST_CASE("capture rules: a mark takes the place of both ids") {
  CaptureConfig config;
  config.proxy_mark = PacketMark{0x539, 0xffffffff};
  auto output = lines(config, Family::v4, "PILLION_OUTPUT");
  CHECK(position(output, "-m mark --mark 0x539 -j RETURN") < static_cast<ptrdiff_t>(output.size()));
  CHECK(std::none_of(output.begin(), output.end(), [](const std::string& s) { return s.contains("owner"); }));
  config.proxy_mark = PacketMark{0x500, 0xf00};
  output = lines(config, Family::v4, "PILLION_OUTPUT");
  CHECK(position(output, "-m mark --mark 0x500/0xf00 -j RETURN") < static_cast<ptrdiff_t>(output.size()));
}

TEST_CASE("capture rules: interfaces come first") {
  CaptureConfig config;
  config.exclude_interfaces = {"net1", "eth+"};
  config.reroute_interfaces = {"tap0"};
  const auto inbound = lines(config, Family::v4, "PILLION_INBOUND");
  CHECK(inbound[0] == "-i net1 -j RETURN");
  CHECK(inbound[1] == "-i eth+ -j RETURN");
  CHECK(inbound[2] == "-i tap0 -j PILLION_REDIRECT");
  CHECK(lines(config, Family::v4, "PILLION_OUTPUT").front() == "-o net1 -j RETURN");
}

}  // namespace
}  // namespace pillion::k8s
