// A worker's contexts of the TLS library, made from configuration and the secrets of now when first asked for. All are
// forgotten when a snapshot brings another listener, cluster or secret; connections keep the context they have.
#pragma once

#include <memory>
#include <unordered_map>

#include "proxy/config/snapshot.h"
#include "proxy/net/tls.h"
#include "proxy/upstream/cluster.h"

namespace pillion::worker {

class TlsContextCache final : public upstream::TlsContexts {
 public:
  // The pointers that are the keys are of this snapshot, or of configuration that connections still pin: then an entry
  // is made anew, but never found for another configuration.
  void publish(config::SnapshotPtr snapshot);

  Expected<std::shared_ptr<const net::ClientTlsContext>> client(const config::TlsContext& tls) override;
  Expected<std::shared_ptr<const net::ServerTlsContext>> server(const config::TlsContext& tls);

 private:
  Expected<net::TlsSecrets> secrets_of(const config::TlsContext& tls) const;
  std::shared_ptr<const TlsMaterial> find(const config::SecretRef& ref) const;

  config::SnapshotPtr snapshot_;
  std::unordered_map<const config::TlsContext*, std::shared_ptr<const net::ClientTlsContext>> clients_;
  std::unordered_map<const config::TlsContext*, std::shared_ptr<const net::ServerTlsContext>> servers_;
};

}  // namespace pillion::worker
