#include <envoy/config/cluster/v3/cluster.pb.h>

#include "xds/translate/check_message.h"
#include "xds/translate/cluster_parts.h"
#include "xds/translate/endpoints.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // dns_refresh_rate and respect_dns_ttl are what is written

namespace pillion::xds {

namespace cluster = envoy::config::cluster::v3;
using config::Cluster;

namespace {

constexpr std::string_view kOriginalDstHeader = "x-envoy-original-dst-host";

// === where the endpoints come from ===

Cluster::Type to_type(Context& cx, const cluster::Cluster& in) {
  switch (in.type()) {
    case cluster::Cluster::STATIC: return Cluster::Type::static_;
    case cluster::Cluster::STRICT_DNS: return Cluster::Type::strict_dns;
    case cluster::Cluster::LOGICAL_DNS: return Cluster::Type::logical_dns;
    case cluster::Cluster::EDS: return Cluster::Type::eds;
    case cluster::Cluster::ORIGINAL_DST: return Cluster::Type::original_dst;
    default: cx.unsupported("type"); return Cluster::Type::static_;
  }
}

void set_eds(Context& cx, const cluster::Cluster& in, Cluster& out) {
  out.eds_name = in.eds_cluster_config().service_name().empty() ? in.name() : in.eds_cluster_config().service_name();
  if (!in.has_eds_cluster_config() || !in.eds_cluster_config().has_eds_config()) {
    return cx.fail_at("eds_cluster_config", "must be set in a cluster of type EDS, with an eds_config");
  }
  const auto at = cx.field("eds_cluster_config");
  const auto in_config = cx.field("eds_config");
  expect_ads(cx, in.eds_cluster_config().eds_config());
  PILLION_SET_DURATION(cx, in.eds_cluster_config().eds_config(), initial_fetch_timeout, out.eds_fetch_timeout);
}

// Envoy takes no more than one endpoint: the name stands for all of what it resolves to.
void check_logical(Context& cx, const config::EndpointAssignment& assignment) {
  const bool one = assignment.localities.size() == 1 && assignment.localities.front().endpoints.size() == 1;
  if (!one) cx.fail_at("load_assignment", "a cluster of type LOGICAL_DNS must have exactly one endpoint");
}

void set_endpoints(Context& cx, const cluster::Cluster& in, Cluster& out) {
  const bool own = out.type != Cluster::Type::eds && out.type != Cluster::Type::original_dst;
  if (in.has_eds_cluster_config() && out.type != Cluster::Type::eds) {
    cx.fail_at("eds_cluster_config", "may be set in a cluster of type EDS only");
  }
  if (!own) {
    if (in.has_load_assignment()) {
      cx.fail_at("load_assignment", "may not be set in a cluster of type EDS or ORIGINAL_DST");
    }
    if (out.type == Cluster::Type::eds) set_eds(cx, in, out);
    return;
  }
  const bool names = out.type != Cluster::Type::static_;
  {
    const auto at = cx.field("load_assignment");
    out.inline_endpoints = to_assignment(cx, in.load_assignment(), names ? Hosts::names : Hosts::addresses);
  }
  if (out.type == Cluster::Type::logical_dns) check_logical(cx, *out.inline_endpoints);
}

void set_dns(Context& cx, const cluster::Cluster& in, Cluster& out) {
  switch (in.dns_lookup_family()) {
    case cluster::Cluster::V4_ONLY: out.dns_family = Cluster::DnsFamily::v4_only; break;
    case cluster::Cluster::V6_ONLY: out.dns_family = Cluster::DnsFamily::v6_only; break;
    case cluster::Cluster::V4_PREFERRED: out.dns_family = Cluster::DnsFamily::v4_preferred; break;
    case cluster::Cluster::ALL: out.dns_family = Cluster::DnsFamily::all; break;
    default: out.dns_family = Cluster::DnsFamily::automatic;
  }
  PILLION_SET_DURATION(cx, in, dns_refresh_rate, out.dns_refresh);
  out.respect_dns_ttl = in.respect_dns_ttl();
}

void set_original_dst(Context& cx, const cluster::Cluster& in, Cluster& out) {
  if (out.type != Cluster::Type::original_dst) return;
  const auto& lb = in.original_dst_lb_config();
  out.original_dst_use_header = lb.use_http_header();
  const auto at = cx.field("original_dst_lb_config");
  cx.unsupported_if(!lb.http_header_name().empty() && to_lower(lb.http_header_name()) != kOriginalDstHeader,
                    "http_header_name");
  if (lb.has_upstream_port_override()) {
    out.original_dst_port_override = static_cast<uint16_t>(lb.upstream_port_override().value());
  }
}

// === connections ===

void set_sockets(Context& cx, const cluster::Cluster& in, Cluster& out) {
  if (in.has_transport_socket()) {
    const auto at = cx.field("transport_socket");
    out.tls = to_transport_socket(cx, in.transport_socket(), Direction::upstream);
  }
  const auto at = cx.field("transport_socket_matches");
  for (const auto& item : in.transport_socket_matches()) {
    const auto in_list = cx.index(out.socket_matches.size());
    config::TransportSocketMatch& match = out.socket_matches.emplace_back();
    match.name = item.name();
    {
      const auto in_match = cx.field("match");
      match.match = to_labels(cx, item.match());
    }
    const auto in_socket = cx.field("transport_socket");
    match.tls = to_transport_socket(cx, item.transport_socket(), Direction::upstream);
  }
}

void set_connections(Context& cx, const cluster::Cluster& in, Cluster& out) {
  PILLION_SET_DURATION(cx, in, connect_timeout, out.connect_timeout);
  if (in.has_upstream_bind_config() && in.upstream_bind_config().has_source_address()) {
    const auto at = cx.field("upstream_bind_config");
    const auto in_address = cx.field("source_address");
    out.bind = to_address(cx, in.upstream_bind_config().source_address());
    for (const auto& extra : in.upstream_bind_config().extra_source_addresses()) {
      const auto in_extra = cx.field("extra_source_addresses");
      out.extra_binds.push_back(to_address(cx, extra.address()));
    }
  }
  if (in.upstream_connection_options().has_tcp_keepalive()) {
    const auto& keepalive = in.upstream_connection_options().tcp_keepalive();
    out.tcp_keepalive = true;
    PILLION_SET_WRAPPER(keepalive, keepalive_probes, out.tcp_keepalive_probes);
    PILLION_SET_WRAPPER(keepalive, keepalive_time, out.tcp_keepalive_time_s);
    PILLION_SET_WRAPPER(keepalive, keepalive_interval, out.tcp_keepalive_interval_s);
  }
  out.close_connections_on_host_health_failure = in.close_connections_on_host_health_failure();
  const bool warm = !in.has_wait_for_warm_on_init() || in.wait_for_warm_on_init().value();
  cx.unsupported_if(!warm, "wait_for_warm_on_init");
}

}  // namespace

std::shared_ptr<Cluster> to_cluster(Context& cx, const cluster::Cluster& in) {
  auto out = std::make_shared<Cluster>();
  out->name = in.name();
  out->alt_stat_name = in.alt_stat_name();
  out->type = to_type(cx, in);
  set_endpoints(cx, in, *out);
  set_dns(cx, in, *out);
  set_original_dst(cx, in, *out);
  set_load_balancing(cx, in, *out);
  set_connections(cx, in, *out);
  set_sockets(cx, in, *out);
  set_protocol(cx, in, *out);
  set_breakers(cx, in, *out);
  set_outlier(cx, in, *out);
  out->hash = hash_of(in);
  return out;
}

Translated<Cluster> translate_cluster(const cluster::Cluster& message, const TranslationOptions& options,
                                      std::string_view path) {
  Context cx(options, path, 1);
  if (!check_message(cx, message)) return std::unexpected(std::move(cx.take_errors().front()));
  return finish(cx, to_cluster(cx, message));
}

}  // namespace pillion::xds
