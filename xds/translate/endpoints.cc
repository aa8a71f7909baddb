#include "xds/translate/endpoints.h"

#include <envoy/config/core/v3/address.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/core/v3/health_check.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/endpoint/v3/endpoint_components.pb.h>
#include <google/protobuf/struct.pb.h>

#include <cmath>
#include <limits>

#include "xds/translate/check_message.h"
#include "xds/translate/values.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;
namespace endpoint = envoy::config::endpoint::v3;

namespace {

constexpr const char* kTransportSocketMatch = "envoy.transport_socket_match";

config::HealthStatus to_health(core::HealthStatus status) {
  switch (status) {
    case core::HEALTHY: return config::HealthStatus::healthy;
    case core::UNHEALTHY: return config::HealthStatus::unhealthy;
    case core::DRAINING: return config::HealthStatus::draining;
    case core::TIMEOUT: return config::HealthStatus::timeout;
    case core::DEGRADED: return config::HealthStatus::degraded;
    default: return config::HealthStatus::unknown;
  }
}

void set_address(Context& cx, const endpoint::Endpoint& in, Hosts hosts, config::Endpoint& out) {
  const auto at = cx.field("address");
  const core::SocketAddress& socket = in.address().socket_address();
  out.hostname = in.hostname();
  const bool is_name = in.address().has_socket_address() && !Address::parse_ip(socket.address(), 0);
  if (hosts == Hosts::names && is_name) {
    if (socket.protocol() != core::SocketAddress::TCP) cx.unsupported("socket_address");
    out.hostname = socket.address();
    out.port = static_cast<uint16_t>(socket.port_value());
  } else {
    out.address = to_address(cx, in.address());
    out.port = out.address.port();
  }
}

config::Endpoint to_endpoint(Context& cx, const endpoint::LbEndpoint& in, Hosts hosts) {
  config::Endpoint out;
  if (in.has_load_balancing_weight()) out.weight = in.load_balancing_weight().value();
  out.health = to_health(in.health_status());
  if (!in.has_endpoint() || !in.endpoint().has_address()) {
    cx.fail_at("endpoint", "must have an address");
    return out;
  }
  {
    const auto at = cx.field("endpoint");
    set_address(cx, in.endpoint(), hosts, out);
  }
  const auto& metadata = in.metadata().filter_metadata();
  if (const auto it = metadata.find(kTransportSocketMatch); it != metadata.end()) {
    const auto at = cx.field("metadata");
    const auto in_map = cx.field("filter_metadata");
    const auto in_key = cx.key(kTransportSocketMatch);
    out.transport_socket_match = to_labels(cx, it->second);
  }
  return out;
}

config::LocalityEndpoints to_locality(Context& cx, const endpoint::LocalityLbEndpoints& in, Hosts hosts) {
  config::LocalityEndpoints out;
  out.locality = {in.locality().region(), in.locality().zone(), in.locality().sub_zone()};
  out.weight = in.load_balancing_weight().value();
  out.priority = in.priority();
  const auto at = cx.field("lb_endpoints");
  uint64_t weights = 0;
  out.endpoints.reserve(static_cast<size_t>(in.lb_endpoints_size()));
  for (const auto& item : in.lb_endpoints()) {
    const auto in_list = cx.index(out.endpoints.size());
    out.endpoints.push_back(to_endpoint(cx, item, hosts));
    weights += out.endpoints.back().weight;
  }
  if (weights > std::numeric_limits<uint32_t>::max()) cx.fail("the sum of the weights does not fit 32 bits");
  return out;
}

}  // namespace

std::map<std::string, std::string> to_labels(Context& cx, const google::protobuf::Struct& fields) {
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : fields.fields()) {
    const auto at = cx.key(key);
    switch (value.kind_case()) {
      case google::protobuf::Value::kStringValue: out[key] = value.string_value(); break;
      case google::protobuf::Value::kBoolValue: out[key] = value.bool_value() ? "true" : "false"; break;
      case google::protobuf::Value::kNumberValue: {
        const double number = value.number_value();
        const bool whole = std::trunc(number) == number && std::abs(number) < 1e15;
        out[key] = whole ? std::to_string(static_cast<int64_t>(number)) : std::to_string(number);
        break;
      }
      default: cx.fail("only texts, numbers and booleans are supported by Pillion here");
    }
  }
  return out;
}

std::shared_ptr<config::EndpointAssignment> to_assignment(Context& cx, const endpoint::ClusterLoadAssignment& in,
                                                          Hosts hosts) {
  auto out = std::make_shared<config::EndpointAssignment>();
  out->name = in.cluster_name();
  PILLION_SET_WRAPPER(in.policy(), overprovisioning_factor, out->overprovisioning_percent);
  out->hash = hash_of(in);
  const auto at = cx.field("endpoints");
  for (const auto& item : in.endpoints()) {
    const auto in_list = cx.index(out->localities.size());
    out->localities.push_back(to_locality(cx, item, hosts));
  }
  return out;
}

Translated<config::EndpointAssignment> translate_endpoints(const endpoint::ClusterLoadAssignment& message,
                                                           const TranslationOptions& options, std::string_view path) {
  Context cx(options, path, 1);
  if (!check_message(cx, message)) return std::unexpected(std::move(cx.take_errors().front()));
  return finish(cx, to_assignment(cx, message, Hosts::addresses));
}

}  // namespace pillion::xds
