// What everything that serves an accepted connection has in common. One accepted connection is, one after the other:
//
//   Intake (first bytes, TLS, which filter chain) ──► Connection (HTTP) | Tunnel (TCP) ──► gone
//
// each a Session in its worker's list. Who ends tells the host, which takes it off the list and retires it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/address.h"
#include "proxy/base/list.h"
#include "proxy/base/rare.h"
#include "proxy/config/listener.h"
#include "proxy/downstream/date.h"
#include "proxy/downstream/server_first.h"
#include "proxy/downstream/stats.h"
#include "proxy/downstream/tcp_stats.h"
#include "proxy/event/executor.h"
#include "proxy/filter/chain.h"
#include "proxy/net/tls.h"
#include "proxy/upstream/cluster.h"

namespace pillion::downstream {

class Session;

// The listeners' side of a worker, as its sessions see it.
class SessionHost {
 public:
  virtual void add(std::unique_ptr<Session> session) = 0;  // the successor of an Intake; counted as the same connection
  virtual void remove(Session& session) = 0;               // it has let go of everything; its memory waits
  // RDS: the table of that name in the configuration of now; null while it has not arrived.
  virtual std::shared_ptr<const config::RouteConfiguration> routes(const config::HttpConnectionManager& manager) = 0;
  // The context for `tls` with the secrets of now; an error while a secret has not arrived.
  virtual Expected<std::shared_ptr<const net::ServerTlsContext>> server_tls(const config::TlsContext& tls) = 0;
  // Appends a line to an access log; never blocks. A path that cannot be written is reported once by the writer.
  virtual void log(std::string_view path, std::string&& line) = 0;

 protected:
  ~SessionHost() = default;
};

// What a worker lends its sessions; outlives them.
struct Services {
  event::Executor& executor;
  upstream::ClusterManager& clusters;
  SessionHost& host;
  StatRegistry& registry;  // for ids that are allocated per listener or stat_prefix, once
  StatIdCache stat_ids{};  // … which are kept here
  DateCache date{};
  TunnelStatsCache tunnel_stats{};
  ServerFirstMemory server_first{};
  filter::FilterStatCache filter_stats{};
};

// What is known of an accepted connection; moves from the intake to its successor.
struct ConnectionInfo {
  uint64_t id = 0;  // unique in the process
  Address remote;   // the socket's peer, or what PROXY protocol said
  Address local;    // the original destination where captured, else the socket's local address
  std::shared_ptr<const config::Listener> listener;  // pinned; `chain` points into it
  const config::FilterChain* chain = nullptr;
  Rare<std::string> sni;  // by tls_inspector or the handshake
  Instant accepted{};
  bool restored_destination = false;  // `local` is from SO_ORIGINAL_DST
};

class Session : public event::Retirable, public ListNode<> {
 public:
  virtual void drain() = 0;  // finish what runs, take no more: GOAWAY, `connection: close`. Tunnels go on
  virtual void close() = 0;  // now: the drain time is over; calls SessionHost::remove
  const ConnectionInfo& info() const { return info_; }

 protected:
  explicit Session(ConnectionInfo info) : info_(std::move(info)) {}
  ConnectionInfo info_;
};

// `transport` may hold unread bytes (Transport::take_unread), which are served first. `http2` says which codec.
std::unique_ptr<Session> make_http_connection(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                              const config::HttpConnectionManager& manager, bool http2);
std::unique_ptr<Session> make_tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                     const config::TcpProxy& proxy);
// Looks at the first bytes as the listener asks, chooses the filter chain, and puts its successor in its place.
std::unique_ptr<Session> make_intake(Services& services, ConnectionInfo info, net::TransportPtr transport);

}  // namespace pillion::downstream
