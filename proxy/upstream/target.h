// One endpoint as its pools and connections see it: where it is, and how a connection to it is made.
#pragma once

#include <memory>
#include <string>

#include "proxy/upstream/context.h"

namespace pillion::upstream {

// The name that TLS asks for, where the cluster takes it from the request (auto_sni, auto_san_validation). Part of
// what tells pools apart. Empty where the transport socket's own is used.
using ServerName = std::string;

class DialTarget {
 public:
  DialTarget(ClusterContext& context, std::shared_ptr<const config::Endpoint> config,
             std::shared_ptr<SharedEndpoint> shared);

  ClusterContext& context() const { return context_; }
  const config::Endpoint& config() const { return *config_; }
  SharedEndpoint& shared() const { return *shared_; }
  const std::shared_ptr<SharedEndpoint>& shared_pointer() const { return shared_; }
  const Address& address() const { return shared_->address; }
  const config::TlsContext* tls() const { return tls_; }  // by transport_socket_matches; null = plain text

  // The same endpoint with other weight or health. False if connections to it would be made otherwise than before.
  bool set_config(std::shared_ptr<const config::Endpoint> config);

  // Address, bind, timeouts, TLS. Fails with tls_failed while a secret that its TLS needs has not arrived.
  Expected<net::DialOptions> dial_options(const ServerName& server_name) const;

 private:
  const config::TlsContext* match_socket(const config::Endpoint& config) const;

  ClusterContext& context_;
  std::shared_ptr<const config::Endpoint> config_;
  std::shared_ptr<SharedEndpoint> shared_;
  const config::TlsContext* tls_;
};

}  // namespace pillion::upstream
