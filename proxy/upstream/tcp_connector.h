// One raw connection to an endpoint of a cluster, for tunnels: picks, dials, tries elsewhere when that fails, and hands
// out the transport together with what must be given back when the tunnel ends.
//
//   created ──start()──► waiting (for the first answer of DNS) ──► dialing ⇄ next try ──► told, once
//
// Outcomes are reported to outlier detection and counted here; the bytes of the tunnel are counted by its owner, in
// cluster stats upstream_cx_rx_bytes_total and upstream_cx_tx_bytes_total (TcpConnection::context()).
#pragma once

#include <memory>
#include <vector>

#include "proxy/base/weak.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/upstream/cluster.h"

namespace pillion::upstream {

// A made connection. Dropping it closes the transport (what is pending lingers) and gives the counts back; it keeps its
// cluster alive until then.
class TcpConnection {
 public:
  TcpConnection() = default;
  TcpConnection(net::TransportPtr transport, ConnectionSlot slot)
      : transport(std::move(transport)), slot_(std::move(slot)) {}
  TcpConnection(TcpConnection&&) noexcept = default;
  TcpConnection& operator=(TcpConnection&& o) noexcept;
  ~TcpConnection() { close(false); }

  // Ends it and says who did, for upstream_cx_destroy_local and _remote. Idempotent. Not from inside one of the
  // transport's events: the transport dies here.
  void close(bool by_peer);
  const Address& address() const { return slot_.endpoint().address; }
  ClusterContext& context() const { return slot_.context(); }
  explicit operator bool() const { return static_cast<bool>(slot_); }

  net::TransportPtr transport;

 private:
  ConnectionSlot slot_;
};

class TcpConnectEvents {
 public:
  // The transport has no events object yet: set one.
  virtual void on_connected(TcpConnection connection) = 0;
  // Why the last try failed: no_healthy_upstream, overflow, connect_failed, connect_timeout, tls_failed.
  virtual void on_connect_failed(const Error& why) = 0;

 protected:
  ~TcpConnectEvents() = default;
};

// Embedded in its user; destroying it cancels. The events come once, never from inside start().
class TcpConnector final : private net::DialEvents, private event::Steppable, private AssignmentWaiter {
 public:
  // The cluster stays alive as long as the connector.
  TcpConnector(Cluster& cluster, TcpConnectEvents& events);
  ~TcpConnector();

  // `context.avoid` must stay valid until the event. `attempts_max` >= 1: TcpProxy.max_connect_attempts.
  void start(const PickContext& context, uint32_t attempts_max);
  uint32_t attempts() const { return attempts_; }
  // Of the last try; none before the first pick.
  const Address& address() const { return address_; }

 private:
  void on_dialed(net::TransportPtr transport) override;
  void on_dial_failed(const Error& why) override;
  void on_assignment() override { executor_.ready(*this); }
  void step() override;  // the next try, or telling of the end
  void fail(const Error& why);

  Cluster& cluster_;
  ClusterPin pin_;
  TcpConnectEvents& events_;
  event::Executor& executor_;
  PickContext context_;
  uint32_t attempts_max_ = 1;
  uint32_t attempts_ = 0;
  bool is_over_ = false;
  Error last_{};
  Address address_;
  ConnectionSlot slot_;
  std::unique_ptr<net::Dial> dial_;
  std::unique_ptr<net::Dial> spent_;  // the last dial, while its event is on the stack
};

}  // namespace pillion::upstream
