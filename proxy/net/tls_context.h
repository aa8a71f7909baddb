// What the connections of one TLS context share: the SSL_CTX, the judge of peers and, for clients, sessions to resume.
// Made by make_server_context() and make_client_context() of net/tls.h.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "proxy/net/tls.h"
#include "proxy/net/tls_openssl.h"
#include "proxy/net/tls_peer.h"
#include "proxy/net/tls_peers.h"

namespace pillion::net {

class TlsEngine;

// Sessions by whom they were made with: the address, SNI and asked-for host of a peer. A session stands for a check of
// the peer's certificate, so it is never offered to another one. Used by all workers.
class SessionCache {
 public:
  static constexpr size_t kSessionsMax = 64;  // a few KiB each, with the peer's chain
  void put(const std::string& peer, SslSessionPtr session);
  // TLS 1.3 sessions are for one use (RFC 8446 C.4). None when the certificate that was checked has expired.
  SslSessionPtr take(const std::string& peer);

 private:
  std::mutex mutex_;
  std::map<std::string, SslSessionPtr> sessions_;
};

// The engine of a connection, whose address OpenSSL keeps for callbacks.
TlsEngine* engine_of(const SSL* ssl);
void set_engine(SSL* ssl, TlsEngine* engine);

class TlsContextBase {
 public:
  TlsContextBase(SslCtxPtr ctx, PeerJudge judge) : ctx_(std::move(ctx)), judge_(std::move(judge)) {}
  SSL_CTX* ctx() const { return ctx_.get(); }
  const PeerJudge& judge() const { return judge_; }
  TlsPeers& peers() const { return peers_; }

 private:
  SslCtxPtr ctx_;
  PeerJudge judge_;
  mutable TlsPeers peers_;
};

class ServerTlsContext : public TlsContextBase {
 public:
  ServerTlsContext(SslCtxPtr ctx, PeerJudge judge, std::string alpn)
      : TlsContextBase(std::move(ctx), std::move(judge)), alpn_(std::move(alpn)) {}
  const std::string& alpn() const { return alpn_; }  // as on the wire, in the server's order

 private:
  std::string alpn_;
};

class ClientTlsContext : public TlsContextBase {
 public:
  ClientTlsContext(SslCtxPtr ctx, PeerJudge judge, std::string sni, std::string alpn, bool has_certificate)
      : TlsContextBase(std::move(ctx), std::move(judge)),
        sni_(std::move(sni)),
        alpn_(std::move(alpn)),
        has_certificate_(has_certificate) {}
  const std::string& sni() const { return sni_; }
  // As on the wire, of one dial: the context's own names, or else those that the dial brings.
  std::string alpn_for(const ClientHandshakeOptions& options) const;
  SessionCache& sessions() const { return sessions_; }

 private:
  std::string sni_;
  std::string alpn_;
  bool has_certificate_;
  mutable SessionCache sessions_;
};

}  // namespace pillion::net
