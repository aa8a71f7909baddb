#include "k8s/capture/config.h"

#include <algorithm>
#include <array>
#include <map>

#include "k8s/capture/parse.h"

namespace pillion::k8s {
namespace {

constexpr std::string_view kIstioPrefix = "traffic.sidecar.istio.io/";
constexpr std::string_view kLinkerdPrefix = "config.linkerd.io/skip-";
constexpr std::string_view kOwnPrefix = "capture.pillion.dev/";

template <auto kMember, auto kParse>
Parsed<void> append(CaptureConfig& config, std::string_view text) {
  auto items = kParse(text);
  if (!items) return std::unexpected(std::move(items.error()));
  auto& list = config.*kMember;
  for (auto& item : *items) {
    // A list from a flag and one from an annotation often name the same port; a rule per port is enough.
    if (std::find(list.begin(), list.end(), item) == list.end()) list.push_back(std::move(item));
  }
  return {};
}

bool same_cidr(const Cidr& a, const Cidr& b) {
  return a.length == b.length && a.base == b.base;
}

template <auto kMember>
Parsed<void> append_cidrs(CaptureConfig& config, std::string_view text) {
  const auto items = parse_cidrs(text);
  if (!items) return std::unexpected(items.error());
  auto& list = config.*kMember;
  for (const Cidr& item : *items) {
    if (std::none_of(list.begin(), list.end(), [&](const Cidr& c) { return same_cidr(c, item); })) list.push_back(item);
  }
  return {};
}

Parsed<void> include_inbound_ports(CaptureConfig& config, std::string_view text) {
  config.include_all_inbound_ports = text == "*";
  config.include_inbound_ports.clear();
  if (config.include_all_inbound_ports) return {};
  return append<&CaptureConfig::include_inbound_ports, parse_ports>(config, text);
}

Parsed<void> include_outbound_cidrs(CaptureConfig& config, std::string_view text) {
  config.include_all_outbound_cidrs = text == "*";
  config.include_outbound_cidrs.clear();
  if (config.include_all_outbound_cidrs) return {};
  const auto done = append_cidrs<&CaptureConfig::include_outbound_cidrs>(config, text);
  if (!done) return done;
  for (const Cidr& cidr : config.include_outbound_cidrs) {
    if (cidr.length > 0 && cidr.base.is_loopback()) {
      return std::unexpected(cidr.base.ip() + "/" + std::to_string(cidr.length) +
                             " is loopback, which is never captured: leave it out");
    }
  }
  return {};
}

// One list of the configuration with its three spellings; an empty spelling means that there is none.
struct ListField {
  std::string_view flag;  // Without the leading hyphens; also the key under capture.pillion.dev/.
  std::string_view istio;
  std::string_view linkerd;
  std::string CaptureValues::* value;
  Parsed<void> (*read)(CaptureConfig&, std::string_view);
  bool replaces;  // A second value replaces the first instead of adding to it.
};

using C = CaptureConfig;
using V = CaptureValues;
constexpr std::array kListFields = {
    ListField{"include-inbound-ports", "includeInboundPorts", "", &V::include_inbound_ports, include_inbound_ports,
              true},
    ListField{"exclude-inbound-ports", "excludeInboundPorts", "inbound-ports", &V::exclude_inbound_ports,
              append<&C::exclude_inbound_ports, parse_ports>, false},
    ListField{"exclude-inbound-cidrs", "", "subnets", &V::exclude_inbound_cidrs,
              append_cidrs<&C::exclude_inbound_cidrs>, false},
    ListField{"include-outbound-cidrs", "includeOutboundIPRanges", "", &V::include_outbound_cidrs,
              include_outbound_cidrs, true},
    ListField{"include-outbound-ports", "includeOutboundPorts", "", &V::include_outbound_ports,
              append<&C::include_outbound_ports, parse_ports>, false},
    ListField{"exclude-outbound-cidrs", "excludeOutboundIPRanges", "", &V::exclude_outbound_cidrs,
              append_cidrs<&C::exclude_outbound_cidrs>, false},
    ListField{"exclude-outbound-ports", "excludeOutboundPorts", "outbound-ports", &V::exclude_outbound_ports,
              append<&C::exclude_outbound_ports, parse_ports>, false},
    ListField{"exclude-interfaces", "excludeInterfaces", "", &V::exclude_interfaces,
              append<&C::exclude_interfaces, parse_interfaces>, false},
    ListField{"reroute-interfaces", "kubevirtInterfaces", "", &V::reroute_interfaces,
              append<&C::reroute_interfaces, parse_interfaces>, false},
    ListField{"exclude-uids", "", "", &V::exclude_uids, append<&C::exclude_uids, parse_ids>, false},
    ListField{"exclude-gids", "", "", &V::exclude_gids, append<&C::exclude_gids, parse_ids>, false},
};

const ListField* field_of_annotation(std::string_view key) {
  std::string_view ListField::* spelling = nullptr;
  for (const auto& [prefix, member] :
       {std::pair{kIstioPrefix, &ListField::istio}, std::pair{kLinkerdPrefix, &ListField::linkerd},
        std::pair{kOwnPrefix, &ListField::flag}}) {
    if (!key.starts_with(prefix)) continue;
    spelling = member;
    key.remove_prefix(prefix.size());
    break;
  }
  if (spelling == nullptr || key.empty()) return nullptr;
  for (const ListField& field : kListFields) {
    if (field.*spelling == key) return &field;
  }
  return nullptr;
}

std::unexpected<ConfigError> fail(std::string path, std::string reason) {
  return std::unexpected(ConfigError{.path = std::move(path), .reason = std::move(reason)});
}

std::string annotation_path(std::string_view key) {
  return "annotation " + std::string(key);
}

// Reads one value that is not a list into its member.
template <typename T>
std::expected<void, ConfigError> read_flag(const char* flag, Parsed<T> parsed, T& into) {
  if (!parsed) return fail(flag, std::move(parsed.error()));
  into = std::move(*parsed);
  return {};
}

std::expected<void, ConfigError> read_single_values(const CaptureValues& values, bool ipv6_available, C& config) {
  if (auto r = read_flag("--inbound-port", parse_port(values.inbound_port), config.inbound_port); !r) return r;
  if (auto r = read_flag("--outbound-port", parse_port(values.outbound_port), config.outbound_port); !r) return r;
  if (auto r = read_flag("--proxy-ports", parse_single_ports(values.proxy_ports), config.proxy_ports); !r) return r;
  if (auto r = read_flag("--proxy-uid", parse_id(values.proxy_uid), config.proxy_uid); !r) return r;
  if (auto r = read_flag("--proxy-gid", parse_id(values.proxy_gid), config.proxy_gid); !r) return r;
  if (!values.mark.empty()) {
    PacketMark mark;
    if (auto r = read_flag("--mark", parse_mark(values.mark), mark); !r) return r;
    config.proxy_mark = mark;
  }
  if (config.inbound_port == config.outbound_port) {
    return fail("--inbound-port",
                "\"" + values.inbound_port + "\" is the outbound port as well: give two different ports");
  }
  if (values.ipv6 != "on" && values.ipv6 != "off" && values.ipv6 != "auto") {
    return fail("--ipv6", "\"" + values.ipv6 + "\" is not one of on, off, auto");
  }
  config.ipv6 = values.ipv6 == "on" || (values.ipv6 == "auto" && ipv6_available);
  return {};
}

// Remembers which annotation set a list that cannot be set twice, so that two spellings never silently disagree.
using SetBy = std::map<const ListField*, std::pair<std::string, std::string>>;

std::expected<void, ConfigError> read_annotation(std::string_view text, C& config, SetBy& set_by) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos) {
    return fail("--annotation", "\"" + std::string(text.substr(0, 64)) + "\" has no '=': give KEY=VALUE");
  }
  const std::string key(text.substr(0, equals));
  const std::string value(text.substr(equals + 1));
  const ListField* field = field_of_annotation(key);
  if (field == nullptr) return fail(annotation_path(key), "is not a capture annotation that Pillion knows");
  if (field->replaces) {
    const auto [it, fresh] = set_by.try_emplace(field, key, value);
    if (!fresh && it->second.second != value) {
      return fail(annotation_path(key), "says \"" + value + "\" where " + it->second.first + " says \"" +
                                            it->second.second + "\": keep one of them");
    }
  }
  if (auto read = field->read(config, value); !read) return fail(annotation_path(key), std::move(read.error()));
  return {};
}

}  // namespace

std::expected<CaptureConfig, ConfigError> parse_capture(const CaptureValues& values, bool ipv6_available) {
  CaptureConfig config;
  if (auto r = read_single_values(values, ipv6_available, config); !r) return std::unexpected(std::move(r.error()));
  for (const ListField& field : kListFields) {
    if (auto r = field.read(config, values.*field.value); !r) {
      return fail("--" + std::string(field.flag), std::move(r.error()));
    }
  }
  SetBy set_by;
  for (const std::string& annotation : values.annotations) {
    if (auto r = read_annotation(annotation, config, set_by); !r) return std::unexpected(std::move(r.error()));
  }
  return config;
}

bool is_capture_annotation(std::string_view key) {
  return key.starts_with(kIstioPrefix) || key.starts_with(kLinkerdPrefix) || key.starts_with(kOwnPrefix);
}

std::expected<void, ConfigError> check_capture_annotation(std::string_view key, std::string_view value) {
  CaptureConfig scratch;
  SetBy set_by;
  return read_annotation(std::string(key) + "=" + std::string(value), scratch, set_by);
}

}  // namespace pillion::k8s
