// The way of a tunnel to its server: a cluster by weight, then a connection to one of its endpoints. Apart from the
// tunnel, since the intake starts it before it knows whether there will be one (servers that speak first).
//
//   created ──start()──► connecting ──► connected | failed
#pragma once

#include <optional>
#include <string>

#include "proxy/downstream/session.h"
#include "proxy/upstream/tcp_connector.h"

namespace pillion::downstream {

class TunnelConnectEvents {
 public:
  virtual void on_connected() = 0;
  virtual void on_connect_failed(const Error& why) = 0;

 protected:
  ~TunnelConnectEvents() = default;
};

class TunnelConnect final : private event::Steppable, private upstream::TcpConnectEvents {
 public:
  // `proxy` must outlive it. Neither event comes from inside start().
  TunnelConnect(Services& services, const config::TcpProxy& proxy, const ConnectionInfo& info,
                TunnelConnectEvents& events);
  ~TunnelConnect() { connection_.close(closed_by_peer_); }

  void start();
  void set_events(TunnelConnectEvents& events) { events_ = &events; }

  bool is_connected() const { return connection_.transport != nullptr && !closed_; }
  net::Transport* transport() { return connection_.transport.get(); }  // null until connected
  const std::string& cluster_name() const { return cluster_name_; }
  uint32_t attempts() const { return connector_ ? connector_->attempts() : 0; }
  // The policy would have tried again, but this was the last time that it allows.
  bool is_limit_exceeded() const { return failed_ && attempts() >= proxy_.connect_attempts_max; }
  Address endpoint_address() const { return connector_ ? connector_->address() : Address(); }
  // It is over, at once; what is counted is given back at the end of the turn. Where `reset`, the server is told so.
  void close(bool by_peer, bool reset);
  void count_bytes(uint64_t received, uint64_t sent);  // from and to the server

 private:
  void step() override;  // there is no cluster
  void on_connected(upstream::TcpConnection connection) override;
  void on_connect_failed(const Error& why) override;

  Services& services_;
  const config::TcpProxy& proxy_;
  TunnelConnectEvents* events_;
  upstream::PickContext pick_;
  std::string cluster_name_;
  std::optional<upstream::TcpConnector> connector_;
  upstream::TcpConnection connection_;
  bool told_ = false;
  bool failed_ = false;
  bool closed_ = false;
  bool closed_by_peer_ = false;
};

}  // namespace pillion::downstream
