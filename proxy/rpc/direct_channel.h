// A Channel to one address, for what must not depend on the mesh's own clusters: the control plane, tools.
#pragma once

#include <memory>
#include <string>

#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"
#include "proxy/rpc/grpc.h"

namespace pillion::rpc {

// Gives the client's TLS context of now, for each new connection.
class ClientTlsSource {
 public:
  virtual std::shared_ptr<const net::ClientTlsContext> context() = 0;
  // The handshake is done: a first contact may judge the peer here. False: the connection is closed, calls fail (16).
  virtual bool accept_peer(const net::Transport& transport) = 0;

 protected:
  ~ClientTlsSource() = default;
};

struct DirectChannelOptions {
  std::string target;              // "HOST:PORT", "[v6]:PORT"; a name is resolved at each connect
  std::string authority;           // of the requests; empty = the target
  ClientTlsSource* tls = nullptr;  // null: plain text
  Duration connect_timeout{5'000'000};
  Duration keepalive_interval{30'000'000};  // PING; a server that does not answer within 10 s is gone
};

// One connection, made with the first call and again with the first call after it was lost. It does not retry.
std::unique_ptr<Channel> make_direct_channel(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver,
                                             const DirectChannelOptions& options);

}  // namespace pillion::rpc
