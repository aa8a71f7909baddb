// "HOST:PORT" as it stands in flags and configuration, and the addresses that it means now.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"

namespace pillion::rpc {

struct Target {
  std::string host;  // a name, or an address without brackets
  uint16_t port = 0;
  Address address;  // none where the host is a name

  std::string authority() const;  // host:port, IPv6 in brackets
  static std::optional<Target> parse(std::string_view text);
};

class ConnectEvents {
 public:
  virtual void on_connected(net::TransportPtr transport) = 0;
  virtual void on_connect_failed(const std::string& why) = 0;

 protected:
  ~ConnectEvents() = default;
};

// One attempt to reach a target: resolves its name and tries the addresses in turn, all within one time limit.
// Dropping it cancels; no event comes from inside start(), and after an event it is spent.
//
//   start() ──► resolving ──► dialing ──► next address, while there is one ──► told once
class Connector final : public net::DialEvents, public net::ResolveEvents, public event::Steppable {
 public:
  static constexpr size_t kAddressesMax = 16;  // that are tried

  Connector(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver, ConnectEvents& events);
  // `options` holds all but the address. With `options.tls` the transport has done its handshake.
  void start(const Target& target, const net::DialOptions& options);

 private:
  void on_resolved(const net::ResolveResult& result) override;
  void on_resolve_failed(const Error& why) override;
  void on_dialed(net::TransportPtr transport) override;
  void on_dial_failed(const Error& why) override;
  void step() override;
  void on_timeout();
  void fail(std::string why);

  event::Executor& executor_;
  net::Dialer& dialer_;
  net::Resolver& resolver_;
  ConnectEvents& events_;
  Target target_;
  net::DialOptions options_;
  std::unique_ptr<net::Resolution> resolution_;
  std::unique_ptr<net::Dial> dial_;
  event::Timer timer_;
  std::vector<Address> addresses_;  // not yet tried, the next one last
  std::string last_error_;
};

}  // namespace pillion::rpc
