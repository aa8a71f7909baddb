// What the connections of one context know about their peers, shared by those with the same peer: a mesh has thousands
// of connections and dozens of workloads, and OpenSSL keeps every certificate anew for each connection.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/net/tls_openssl.h"
#include "proxy/net/transport.h"

namespace pillion::net {

std::string der_of(X509* certificate);

// Used by all workers. Forgets everything when it is full: then the next connections begin to share anew.
class TlsPeers {
 public:
  static constexpr size_t kPeersMax = 1024;
  using ChainPtr = std::shared_ptr<const std::vector<std::string>>;

  std::shared_ptr<const TlsInfo> share(TlsInfo&& info);

  // Takes from a connection of a server what its peer's certificates have decoded beside themselves: its certificates
  // above the leaf, which are returned as DER, and the leaf's key, which becomes the one of an earlier connection.
  // Only after the handshake, and only where nobody else has the session.
  ChainPtr take_from(SSL* ssl);

 private:
  struct Known {
    ChainPtr chain;
    PkeyPtr key;
  };
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const TlsInfo>> infos_;
  std::map<std::string, Known> known_;  // by the leaf's digest
};

}  // namespace pillion::net
