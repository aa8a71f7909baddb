// The entries of each family of resources, for those who hold such a message inside of their own: the bootstrap holds
// all of them, a listener holds routes, a cluster holds endpoints and TLS.
//
// The message has passed check_message. Errors are in the context.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "proxy/config/cluster.h"
#include "proxy/config/listener.h"
#include "proxy/config/route.h"
#include "xds/translate/context.h"

namespace envoy::config::accesslog::v3 {
class AccessLog;
}
namespace envoy::config::core::v3 {
class TransportSocket;
}
namespace envoy::extensions::filters::network::http_connection_manager::v3 {
class HttpConnectionManager;
}
namespace envoy::extensions::filters::network::tcp_proxy::v3 {
class TcpProxy;
}

namespace pillion::xds {

std::shared_ptr<config::Listener> to_listener(Context& cx, const envoy::config::listener::v3::Listener& in);
std::shared_ptr<config::Cluster> to_cluster(Context& cx, const envoy::config::cluster::v3::Cluster& in);
std::shared_ptr<TlsMaterial> to_secret(Context& cx, const envoy::extensions::transport_sockets::tls::v3::Secret& in);
std::shared_ptr<config::RouteConfiguration> to_route_configuration(
    Context& cx, const envoy::config::route::v3::RouteConfiguration& in);

config::HttpConnectionManager to_http_connection_manager(
    Context& cx, const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& in);
config::TcpProxy to_tcp_proxy(Context& cx, const envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy& in);

config::AccessLog to_access_log(Context& cx, const envoy::config::accesslog::v3::AccessLog& in);
template <class Logs>
std::vector<config::AccessLog> to_access_logs(Context& cx, std::string_view field, const Logs& logs) {
  const auto at = cx.field(field);
  std::vector<config::AccessLog> out;
  for (const auto& log : logs) {
    const auto in = cx.index(out.size());
    out.push_back(to_access_log(cx, log));
  }
  return out;
}

// Null where the socket is plain text.
enum class Direction : uint8_t { downstream, upstream };
std::shared_ptr<const config::TlsContext> to_transport_socket(Context& cx,
                                                              const envoy::config::core::v3::TransportSocket& in,
                                                              Direction direction);

}  // namespace pillion::xds
