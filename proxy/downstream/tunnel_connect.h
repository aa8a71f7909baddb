// The way of a tunnel to its server: cluster, endpoint, connection, and again up to max_connect_attempts. Apart from
// the tunnel, since the intake starts it before it knows whether there will be one (servers that speak first).
//
//   created ──start()──► dialing ──► connected            dialing goes to failed when the attempts are used up
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "proxy/downstream/session.h"
#include "proxy/filter/record.h"
#include "proxy/net/dialer.h"
#include "proxy/upstream/circuit.h"

namespace pillion::downstream {

class TunnelConnectEvents {
 public:
  virtual void on_connected() = 0;
  virtual void on_connect_failed(const Error& why) = 0;

 protected:
  ~TunnelConnectEvents() = default;
};

class TunnelConnect final : public event::Steppable, private net::DialEvents {
 public:
  // `proxy` must outlive it. Neither event comes from inside start().
  TunnelConnect(Services& services, const config::TcpProxy& proxy, const ConnectionInfo& info,
                TunnelConnectEvents& events);
  ~TunnelConnect();

  void start();
  void set_events(TunnelConnectEvents& events) { events_ = &events; }

  bool is_connected() const { return transport_ != nullptr && !closed_; }
  net::Transport* transport() { return transport_.get(); }  // null until connected
  const std::string& cluster_name() const { return cluster_name_; }
  const std::vector<filter::AttemptRecord>& attempts() const { return attempts_; }
  uint32_t attempts_total() const { return attempts_total_; }
  const Address& endpoint_address() const { return endpoint_address_; }
  // The connection is over; counts it once. Where `reset`, the server is told so.
  void close(bool reset);
  void count_bytes(uint64_t received, uint64_t sent);  // from and to the server

 private:
  void try_next();
  Expected<net::DialOptions> pick();
  void step() override;
  void on_dialed(net::TransportPtr transport) override;
  void on_dial_failed(const Error& why) override;
  void attempt_failed(const Error& why);
  void note_attempt(const Error& why);

  Services& services_;
  const config::TcpProxy& proxy_;
  TunnelConnectEvents* events_;
  upstream::PickContext pick_;
  std::string cluster_name_;
  // The worker's half of the cluster is looked up anew for each try and not kept: a tunnel may outlive it. The shared
  // half lives as long as the process's registry of clusters.
  upstream::SharedCluster* shared_ = nullptr;
  WeakRef<upstream::Endpoint> endpoint_;
  Address endpoint_address_;
  upstream::BreakerSlot slot_;
  std::unique_ptr<net::Dial> dial_;
  net::TransportPtr transport_;
  std::vector<filter::AttemptRecord> attempts_;
  uint32_t attempts_total_ = 0;
  Instant attempt_started_{};
  Error failure_;
  bool dialing_ = false;  // … and dial_ is not spent
  bool closed_ = false;
};

}  // namespace pillion::downstream
