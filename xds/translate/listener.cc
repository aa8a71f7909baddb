#include <envoy/config/core/v3/address.pb.h>
#include <envoy/config/core/v3/base.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/listener/v3/listener_components.pb.h>
#include <envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.pb.h>
#include <envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy.pb.h>

#include <map>

#include "xds/translate/check_message.h"
#include "xds/translate/parts.h"
#include "xds/translate/values.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"  // reuse_port and deprecated_v1 are still written

namespace pillion::xds {

namespace core = envoy::config::core::v3;
namespace listener = envoy::config::listener::v3;
namespace network = envoy::extensions::filters::network;

namespace {

constexpr std::string_view kListenerFilters = "envoy.extensions.filters.listener.";
constexpr const char* kManager = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
constexpr const char* kTcpProxy = "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy";

// === listener filters ===

void set_listener_filter(Context& cx, const listener::ListenerFilter& in, config::Listener& out) {
  const auto at = cx.field("typed_config");
  const std::string type = content_type(in.typed_config());
  const bool known = type.starts_with(kListenerFilters);
  const std::string_view name = known ? std::string_view(type).substr(kListenerFilters.size()) : std::string_view();
  if (name == "original_dst.v3.OriginalDst") {
    out.original_dst = true;
  } else if (name == "tls_inspector.v3.TlsInspector") {
    out.tls_inspector = true;
  } else if (name == "http_inspector.v3.HttpInspector") {
    out.http_inspector = true;
  } else if (name == "proxy_protocol.v3.ProxyProtocol") {
    out.proxy_protocol = true;
  } else {
    cx.fail(type.empty() ? "must be set" : "the listener filter " + type + " is not supported by Pillion");
  }
}

// === filter chains ===

config::FilterChainMatch to_match(Context& cx, const listener::FilterChainMatch& in) {
  using Source = config::FilterChainMatch::SourceType;
  const auto at = cx.field("filter_chain_match");
  config::FilterChainMatch out;
  if (in.has_destination_port()) out.destination_port = static_cast<uint16_t>(in.destination_port().value());
  out.prefix_ranges = to_cidrs(cx, "prefix_ranges", in.prefix_ranges());
  out.direct_source_prefix_ranges = to_cidrs(cx, "direct_source_prefix_ranges", in.direct_source_prefix_ranges());
  out.source_prefix_ranges = to_cidrs(cx, "source_prefix_ranges", in.source_prefix_ranges());
  for (const uint32_t port : in.source_ports()) out.source_ports.push_back(static_cast<uint16_t>(port));
  out.transport_protocol = in.transport_protocol();
  out.application_protocols.assign(in.application_protocols().begin(), in.application_protocols().end());
  if (in.source_type() == listener::FilterChainMatch::SAME_IP_OR_LOOPBACK) {
    out.source_type = Source::same_ip_or_loopback;
  } else if (in.source_type() == listener::FilterChainMatch::EXTERNAL) {
    out.source_type = Source::external;
  }
  const auto in_names = cx.field("server_names");
  for (const std::string& name : in.server_names()) {
    const auto in_list = cx.index(out.server_names.size());
    if (name.find('*') != std::string::npos && (!name.starts_with("*.") || name.find('*', 1) != std::string::npos)) {
      cx.fail("a wildcard stands for the first labels of a name only, as in \"*.example.com\"");
    }
    out.server_names.push_back(to_lower(name));
  }
  return out;
}

void set_terminal(Context& cx, const listener::Filter& in, config::FilterChain& out) {
  const auto at = cx.field("typed_config");
  const std::string type = content_type(in.typed_config());
  if (type == kManager) {
    const auto manager = unpack_any<network::http_connection_manager::v3::HttpConnectionManager>(cx, in.typed_config());
    if (manager) out.terminal = to_http_connection_manager(cx, *manager);
  } else if (type == kTcpProxy) {
    const auto proxy = unpack_any<network::tcp_proxy::v3::TcpProxy>(cx, in.typed_config());
    if (proxy) out.terminal = to_tcp_proxy(cx, *proxy);
  } else {
    cx.fail("the last filter must be " + std::string(kManager) + " or " + kTcpProxy +
            (type.empty() ? "" : "; this is " + type));
  }
}

void set_network_filter(Context& cx, const listener::Filter& in, config::FilterChain& out) {
  const auto at = cx.field("typed_config");
  const std::string type = content_type(in.typed_config());
  if (type == kManager || type == kTcpProxy) return cx.fail("must be the last filter of its chain");
  const FilterTable* filters = cx.options().filters;
  for (const FilterType& known : filters == nullptr ? std::vector<FilterType>() : filters->network) {
    if (known.config_type != type || known.compile == nullptr) continue;
    auto message = unpack_message(in.typed_config(), cx.path());
    if (!message) return cx.add(std::move(message.error()));
    auto config = known.compile(**message, cx.path());
    if (!config) return cx.add(std::move(config.error()));
    out.network_filters.push_back({in.name(), std::string(known.name), std::move(*config)});
    return;
  }
  cx.fail(type.empty() ? "must be set"
                       : "the network filter " + in.name() + " (" + type + ") is not supported by Pillion");
}

// Where HTTP/2 is taken from peers that prove who they are, another Pillion may carry HTTP/1 in it.
void offer_carrying(config::FilterChain& chain) {
  const auto* manager = std::get_if<config::HttpConnectionManager>(&chain.terminal);
  if (manager == nullptr || manager->codec == config::HttpConnectionManager::CodecType::http1) return;
  if (chain.tls == nullptr || !chain.tls->require_client_certificate || !chain.tls->has_validation) return;
  if (std::ranges::find(chain.tls->alpn, "h2") == chain.tls->alpn.end()) return;
  auto tls = std::make_shared<config::TlsContext>(*chain.tls);
  tls->alpn.insert(tls->alpn.begin(), std::string(config::kCarryAlpn));
  chain.tls = std::move(tls);
}

config::FilterChain to_chain(Context& cx, const listener::FilterChain& in) {
  config::FilterChain out;
  out.name = in.name();
  out.match = to_match(cx, in.filter_chain_match());
  if (in.has_transport_socket()) {
    const auto at = cx.field("transport_socket");
    out.tls = to_transport_socket(cx, in.transport_socket(), Direction::downstream);
  }
  PILLION_SET_DURATION(cx, in, transport_socket_connect_timeout, out.handshake_timeout);
  const auto at = cx.field("filters");
  if (in.filters().empty()) cx.fail("must not be empty: a chain without filters has nothing to do with a connection");
  for (int i = 0; i < in.filters_size(); ++i) {
    const auto in_list = cx.index(static_cast<size_t>(i));
    if (i + 1 < in.filters_size()) {
      set_network_filter(cx, in.filters(i), out);
    } else {
      set_terminal(cx, in.filters(i), out);
    }
  }
  offer_carrying(out);
  return out;
}

// Two chains with the same match: one of them could never be chosen.
void set_chains(Context& cx, const listener::Listener& in, config::Listener& out) {
  std::map<std::string, size_t> seen;
  {
    const auto at = cx.field("filter_chains");
    for (const auto& chain : in.filter_chains()) {
      const size_t i = out.chains.size();
      const auto in_list = cx.index(i);
      const auto [same, fresh] = seen.emplace(chain.filter_chain_match().SerializePartialAsString(), i);
      if (!fresh) {
        cx.fail_at("filter_chain_match", "is the same as that of filter_chains[" + std::to_string(same->second) + "]");
      }
      out.chains.push_back(to_chain(cx, chain));
    }
  }
  if (in.has_default_filter_chain()) {
    const auto at = cx.field("default_filter_chain");
    out.default_chain = to_chain(cx, in.default_filter_chain());
  }
  if (out.chains.empty() && !out.default_chain) cx.fail_at("filter_chains", "must not be empty");
}

// === the socket ===

void set_addresses(Context& cx, const listener::Listener& in, config::Listener& out) {
  if (!in.has_address()) return cx.fail_at("address", "must be set");
  {
    const auto at = cx.field("address");
    out.addresses.push_back(to_address(cx, in.address()));
  }
  const auto at = cx.field("additional_addresses");
  for (const auto& item : in.additional_addresses()) {
    const auto in_list = cx.index(out.addresses.size() - 1);
    const auto in_address = cx.field("address");
    out.addresses.push_back(to_address(cx, item.address()));
  }
}

void set_socket(const listener::Listener& in, config::Listener& out) {
  if (in.deprecated_v1().has_bind_to_port()) out.bind_to_port = in.deprecated_v1().bind_to_port().value();
  PILLION_SET_WRAPPER(in, bind_to_port, out.bind_to_port);
  PILLION_SET_WRAPPER(in, use_original_dst, out.use_original_dst);
  PILLION_SET_WRAPPER(in, transparent, out.transparent);
  PILLION_SET_WRAPPER(in, enable_reuse_port, out.reuse_port);
  PILLION_SET_WRAPPER(in, tcp_backlog_size, out.backlog);
}

}  // namespace

std::shared_ptr<config::Listener> to_listener(Context& cx, const listener::Listener& in) {
  auto out = std::make_shared<config::Listener>();
  set_addresses(cx, in, *out);
  out->name = in.name();
  if (out->name.empty() && !out->addresses.empty()) out->name = out->addresses.front().to_string();
  set_socket(in, *out);
  {
    const auto at = cx.field("listener_filters");
    size_t i = 0;
    for (const auto& filter : in.listener_filters()) {
      const auto in_list = cx.index(i++);
      set_listener_filter(cx, filter, *out);
    }
  }
  PILLION_SET_DURATION(cx, in, listener_filters_timeout, out->listener_filters_timeout);
  out->continue_on_listener_filters_timeout = in.continue_on_listener_filters_timeout();
  set_chains(cx, in, *out);
  if (in.traffic_direction() == core::INBOUND) out->direction = config::Listener::Direction::inbound;
  if (in.traffic_direction() == core::OUTBOUND) out->direction = config::Listener::Direction::outbound;
  out->access_logs = to_access_logs(cx, "access_log", in.access_log());
  out->hash = hash_of(in);
  return out;
}

Translated<config::Listener> translate_listener(const listener::Listener& message, const TranslationOptions& options,
                                                std::string_view path) {
  Context cx(options, path, 1);
  if (!check_message(cx, message)) return std::unexpected(std::move(cx.take_errors().front()));
  return finish(cx, to_listener(cx, message));
}

}  // namespace pillion::xds
