#include "k8s/capture/config.h"

#include <doctest/doctest.h>

#include "k8s/capture/parse.h"

namespace pillion::k8s {
namespace {

std::string error_of(const CaptureValues& values) {
  const auto config = parse_capture(values, true);
  return config ? "" : config.error().to_string();
}

TEST_CASE("capture config: the defaults are Istio's ports and ids") {
  const auto config = parse_capture({}, true);
  REQUIRE(config);
  CHECK(config->inbound_port == 15006);
  CHECK(config->outbound_port == 15001);
  CHECK(config->proxy_uid == 1337);
  CHECK(config->proxy_gid == 1337);
  CHECK_FALSE(config->proxy_mark);
  CHECK(config->proxy_ports == std::vector<uint16_t>{15000, 15020, 15021, 15090});
  CHECK(config->include_all_inbound_ports);
  CHECK(config->include_all_outbound_cidrs);
}

TEST_CASE("capture config: ipv6 auto follows the namespace, on and off do not") {
  for (const bool available : {false, true}) {
    CAPTURE(available);
    CHECK(parse_capture({}, available)->ipv6 == available);
    CHECK(parse_capture({.ipv6 = "on"}, available)->ipv6);
    CHECK_FALSE(parse_capture({.ipv6 = "off"}, available)->ipv6);
  }
}

TEST_CASE("capture config: a bad value is refused with its flag and quoted") {
  struct Case {
    CaptureValues values;
    const char* want;
  };
  const Case cases[] = {
      {{.inbound_port = "0"}, "--inbound-port: \"0\" is not a port"},
      {{.inbound_port = "15001"}, "--inbound-port: \"15001\" is the outbound port as well"},
      {{.outbound_port = "70000"}, "--outbound-port: \"70000\" is not a port"},
      {{.proxy_ports = "15000,x"}, "--proxy-ports: \"x\" is not a port"},
      {{.proxy_ports = "15000-15010"}, "--proxy-ports: \"15000-15010\" is not a port"},
      {{.proxy_uid = "root"}, "--proxy-uid: \"root\" is not a numeric id"},
      {{.proxy_gid = "4294967295"}, "--proxy-gid: \"4294967295\" is not a numeric id"},
      {{.mark = "0"}, "--mark: \"0\" would match every packet"},
      {{.mark = "0x1ff/0xff"}, "--mark: \"0x1ff/0xff\" has bits outside its own mask"},
      {{.mark = "0x"}, "--mark: \"0x\" is not a packet mark"},
      {{.mark = "0x100000000"}, "--mark: \"0x100000000\" is not a packet mark"},
      {{.ipv6 = "yes"}, "--ipv6: \"yes\" is not one of on, off, auto"},
      {{.include_inbound_ports = "*,80"}, "--include-inbound-ports: \"*\" is not a port"},
      {{.exclude_inbound_ports = "80,,443"}, "--exclude-inbound-ports: \"80,,443\" has an empty item"},
      {{.exclude_inbound_ports = "80,"}, "--exclude-inbound-ports: \"80,\" has an empty item"},
      {{.exclude_inbound_ports = "-80"}, "--exclude-inbound-ports: \"-80\" is not a port"},
      {{.exclude_inbound_ports = "90-80"}, "--exclude-inbound-ports: \"90-80\" is a range that ends before it begins"},
      {{.exclude_outbound_ports = "80 81"}, "--exclude-outbound-ports: \"80 81\" is not a port"},
      {{.exclude_outbound_cidrs = "10.0.0.0/33"}, "--exclude-outbound-cidrs: \"10.0.0.0/33\" is not a network"},
      {{.exclude_outbound_cidrs = "::ffff:10.0.0.0/104"}, "--exclude-outbound-cidrs: \"::ffff:10.0.0.0/104\""},
      {{.include_outbound_cidrs = "127.1.0.0/16"}, "--include-outbound-cidrs: 127.1.0.0/16 is loopback"},
      {{.exclude_interfaces = "eth0;x"}, "--exclude-interfaces: \"eth0;x\" is not the name of a network interface"},
      {{.exclude_interfaces = "sixteen-bytes-abc"}, "--exclude-interfaces: \"sixteen-bytes-abc\""},
      {{.exclude_interfaces = "-j"}, "--exclude-interfaces: \"-j\""},
      {{.exclude_interfaces = "+"}, "--exclude-interfaces: \"+\""},
      {{.exclude_interfaces = "a\n-A"}, "--exclude-interfaces: \"a?-A\""},
      {{.exclude_uids = "1-2"}, "--exclude-uids: \"1-2\" is not a numeric id"},
      {{.annotations = {"nothing"}}, "--annotation: \"nothing\" has no '='"},
      {{.annotations = {"traffic.sidecar.istio.io/excludeOutboundPorts=a"}},
       "annotation traffic.sidecar.istio.io/excludeOutboundPorts: \"a\" is not a port"},
      {{.annotations = {"traffic.sidecar.istio.io/excludePorts=1"}},
       "annotation traffic.sidecar.istio.io/excludePorts: is not a capture annotation that Pillion knows"},
      {{.annotations = {"config.linkerd.io/skip-=1"}}, "annotation config.linkerd.io/skip-: is not a capture"},
      {{.annotations = {"config.linkerd.io/opaque-ports=1"}}, "annotation config.linkerd.io/opaque-ports: is not"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.want);
    const std::string error = error_of(c.values);
    CAPTURE(error);
    CHECK(error.starts_with(c.want));
  }
}

TEST_CASE("capture config: lists have limits") {
  std::string ports;
  for (size_t i = 0; i <= kMaxPortItems; ++i) ports += (i == 0 ? "" : ",") + std::to_string(i + 1);
  CHECK(error_of({.exclude_inbound_ports = ports}) == "--exclude-inbound-ports: has more than 256 items");
  CHECK(error_of({.exclude_interfaces = std::string(kMaxListBytes + 1, ' ')}) ==
        "--exclude-interfaces: is longer than 65536 bytes");
}

TEST_CASE("capture config: ranges, blanks and repeated items are read once and in order") {
  const auto config = parse_capture({.exclude_inbound_ports = " 22 ,9000-9100, 22"}, true);
  REQUIRE(config);
  CHECK(config->exclude_inbound_ports == std::vector<PortRange>{{22, 22}, {9000, 9100}});
}

TEST_CASE("capture config: networks lose their host bits, as in iptables") {
  struct Case {
    const char* text;
    const char* base;
    int length;
  };
  static constexpr Case kCases[] = {
      {"10.1.2.3/8", "10.0.0.0", 8},
      {"10.1.2.3", "10.1.2.3", 32},
      {"0.0.0.0/0", "0.0.0.0", 0},
      {"192.168.77.7/28", "192.168.77.0", 28},
      {"fd12:3456::9/16", "fd12::", 16},
      {"fd00::1", "fd00::1", 128},
      {"::/0", "::", 0},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.text);
    const auto cidrs = parse_cidrs(c.text);
    REQUIRE(cidrs);
    REQUIRE(cidrs->size() == 1);
    CHECK(cidrs->front().base.ip() == c.base);
    CHECK(cidrs->front().length == c.length);
  }
}

TEST_CASE("capture config: an include list is everything, something or nothing") {
  CHECK(parse_capture({.include_inbound_ports = "*"}, true)->include_all_inbound_ports);
  const auto some = parse_capture({.include_inbound_ports = "80"}, true);
  CHECK_FALSE(some->include_all_inbound_ports);
  CHECK(some->include_inbound_ports == std::vector<PortRange>{{80, 80}});
  const auto none = parse_capture({.include_inbound_ports = "", .include_outbound_cidrs = ""}, true);
  CHECK_FALSE(none->include_all_inbound_ports);
  CHECK(none->include_inbound_ports.empty());
  CHECK_FALSE(none->include_all_outbound_cidrs);
  CHECK(none->include_outbound_cidrs.empty());
}

TEST_CASE("capture config: annotations of Istio, Linkerd and Pillion add what they exclude to the flags") {
  const auto config = parse_capture(
      {.exclude_outbound_ports = "1",
       .annotations =
           {"traffic.sidecar.istio.io/excludeOutboundPorts=2,1", "config.linkerd.io/skip-outbound-ports=3,4000-5000",
            "capture.pillion.dev/exclude-outbound-ports=6", "config.linkerd.io/skip-inbound-ports=22",
            "config.linkerd.io/skip-subnets=10.0.0.0/8", "traffic.sidecar.istio.io/excludeOutboundIPRanges=10.9.0.0/16",
            "traffic.sidecar.istio.io/includeOutboundPorts=99", "traffic.sidecar.istio.io/excludeInterfaces=net1",
            "traffic.sidecar.istio.io/kubevirtInterfaces=k6t-eth0", "capture.pillion.dev/exclude-uids=7"}},
      true);
  REQUIRE(config);
  CHECK(config->exclude_outbound_ports == std::vector<PortRange>{{1, 1}, {2, 2}, {3, 3}, {4000, 5000}, {6, 6}});
  CHECK(config->exclude_inbound_ports == std::vector<PortRange>{{22, 22}});
  CHECK(config->exclude_inbound_cidrs.size() == 1);
  CHECK(config->exclude_outbound_cidrs.size() == 1);
  CHECK(config->include_outbound_ports == std::vector<PortRange>{{99, 99}});
  CHECK(config->exclude_interfaces == std::vector<std::string>{"net1"});
  CHECK(config->reroute_interfaces == std::vector<std::string>{"k6t-eth0"});
  CHECK(config->exclude_uids == std::vector<uint32_t>{7});
}

TEST_CASE("capture config: an annotation's include list replaces the flag's, and two that disagree are an error") {
  const auto config = parse_capture(
      {.include_inbound_ports = "80", .annotations = {"traffic.sidecar.istio.io/includeInboundPorts=81"}}, true);
  REQUIRE(config);
  CHECK(config->include_inbound_ports == std::vector<PortRange>{{81, 81}});
  CHECK(error_of({.annotations = {"traffic.sidecar.istio.io/includeInboundPorts=81",
                                  "capture.pillion.dev/include-inbound-ports=82"}}) ==
        "annotation capture.pillion.dev/include-inbound-ports: says \"82\" where "
        "traffic.sidecar.istio.io/includeInboundPorts says \"81\": keep one of them");
}

TEST_CASE("capture config: which annotations are about capture, and whether they are valid") {
  CHECK(is_capture_annotation("traffic.sidecar.istio.io/includeInboundPorts"));
  CHECK(is_capture_annotation("config.linkerd.io/skip-subnets"));
  CHECK(is_capture_annotation("capture.pillion.dev/mark"));
  CHECK_FALSE(is_capture_annotation("sidecar.istio.io/inject"));
  CHECK_FALSE(is_capture_annotation("config.linkerd.io/proxy-cpu-limit"));
  CHECK(check_capture_annotation("traffic.sidecar.istio.io/includeInboundPorts", "*"));
  CHECK_FALSE(check_capture_annotation("capture.pillion.dev/mark", "1"));
  CHECK_FALSE(check_capture_annotation("traffic.sidecar.istio.io/includeInboundPorts", "x=y"));
}

}  // namespace
}  // namespace pillion::k8s
