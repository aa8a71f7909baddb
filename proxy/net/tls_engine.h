// One side of a TLS connection without any I/O: ciphertext in and out as Chains, by a BIO of our own, so that OpenSSL's
// memory BIOs do not copy everything once more.
#pragma once

#include <memory>
#include <string>

#include "proxy/base/chain.h"
#include "proxy/net/dialer.h"
#include "proxy/net/tls_context.h"
#include "proxy/net/tls_openssl.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class TlsEngine {
 public:
  static constexpr size_t kRecordBytesMax = 16 * 1024;            // RFC 8446 5.1
  static constexpr size_t kReadRoomMin = 4 * 1024;                // of a chunk that plaintext goes to
  enum class Result : uint8_t { ok, want_read, closed, failed };  // closed: the peer's close_notify

  TlsEngine(ChunkPool& pool, std::shared_ptr<const ServerTlsContext> context);
  TlsEngine(ChunkPool& pool, std::shared_ptr<const ClientTlsContext> context, std::string sni, std::string verify_host,
            const std::string& peer_address);
  void offer_alpn(std::string_view wire);  // before handshake(), of a client; each name after its length
  TlsEngine(const TlsEngine&) = delete;
  TlsEngine& operator=(const TlsEngine&) = delete;
  ~TlsEngine();

  Chain cipher_in;   // what the peer sent; the engine drains it
  Chain cipher_out;  // what is to be sent

  Result handshake();            // ok: it is done
  Result decrypt(Chain& plain);  // everything in cipher_in; ok: all of it was used
  Result encrypt(Chain& plain);  // all of it, in records as large as there are bytes
  void send_close_notify();
  bool has_pending() const;  // bytes of a record that were not given out yet
  // Of an idle connection; OpenSSL takes new buffers when it needs them.
  void free_memory();

  std::string& failure() { return failure_; }       // why the last call failed, a sentence
  std::shared_ptr<const TlsInfo> describe() const;  // after the handshake
  std::vector<std::string> peer_chain() const;      // DER, the leaf first
  SSL* ssl() const { return ssl_.get(); }

  // For the callbacks of OpenSSL.
  ChunkPool& pool() { return pool_; }
  int judge_peer(X509_STORE_CTX* store);
  void keep_session(SslSessionPtr session);
  const ServerTlsContext* server() const { return server_.get(); }

 private:
  const TlsContextBase& context() const;
  TlsInfo make_info() const;
  void set_up(SSL_CTX* ctx);
  Result fail(int ssl_error, const char* doing);

  ChunkPool& pool_;
  std::shared_ptr<const ServerTlsContext> server_;  // one of the two
  std::shared_ptr<const ClientTlsContext> client_;
  SslPtr ssl_;
  std::string sni_;
  std::string verify_host_;
  std::string session_key_;
  std::string failure_;
  TlsPeers::ChainPtr above_peer_;  // once free_memory() has taken it from OpenSSL
  bool peer_refused_ = false;      // failure_ says why already
};

}  // namespace pillion::net
