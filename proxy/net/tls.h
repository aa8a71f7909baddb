// TLS over any Transport, by OpenSSL with memory BIOs: the transport below moves records, this one moves their content.
// Contexts are immutable, made once per version of the secrets they use, and shared by connections; a rotation makes a
// new one and cuts nothing. Judging the peer (chain, SANs, hashes) follows config::ValidationContext.
//
//   start_*_handshake ──► Handshake (dropping it cancels) ──► on_handshaken(transport with tls()) | on_handshake_failed
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/time.h"
#include "proxy/base/tls_material.h"
#include "proxy/config/tls.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class ServerTlsContext;
class ClientTlsContext;

// What the names of secrets in a config::TlsContext stand for now.
struct TlsSecrets {
  std::vector<std::shared_ptr<const TlsMaterial>> certificates;  // in the order of TlsContext::certificates
  std::shared_ptr<const TlsMaterial> trust;                      // its trust_bundle; null without validation
};

// Errors are sentences that name the field: "tls_certificates[0]: the key does not belong to the certificate".
std::expected<std::shared_ptr<const ServerTlsContext>, std::string> make_server_context(
    const config::TlsContext& config, const TlsSecrets& secrets);
std::expected<std::shared_ptr<const ClientTlsContext>, std::string> make_client_context(
    const config::TlsContext& config, const TlsSecrets& secrets);

class HandshakeEvents {
 public:
  virtual void on_handshaken(TransportPtr transport) = 0;
  // `detail` says in words what the TLS library or the check of the peer found wrong; no secret is in it.
  virtual void on_handshake_failed(const Error& why, std::string_view detail) = 0;

 protected:
  ~HandshakeEvents() = default;
};

class Handshake {
 public:
  virtual ~Handshake() = default;
};

struct ClientHandshakeOptions {
  std::string sni;          // overrides the context's when not empty
  std::string verify_host;  // auto_san_validation: a DNS SAN that the peer must have; empty = none asked
  AlpnOffer alpn_default = AlpnOffer::none;  // used if the context has no alpn_protocols
  bool carries_http1 = false;                // as in DialOptions
  Duration timeout{5'000'000};
};

// `transport` is taken over; bytes that it still holds unread (a ClientHello that was looked at) are used first.
// No event comes from inside these calls.
[[nodiscard]] std::unique_ptr<Handshake> start_server_handshake(event::Executor& executor, TransportPtr transport,
                                                                std::shared_ptr<const ServerTlsContext> context,
                                                                Duration timeout, HandshakeEvents& events);
[[nodiscard]] std::unique_ptr<Handshake> start_client_handshake(event::Executor& executor, TransportPtr transport,
                                                                std::shared_ptr<const ClientTlsContext> context,
                                                                const ClientHandshakeOptions& options,
                                                                HandshakeEvents& events);

// The DER certificates that the peer sent, leaf first: for a first contact that trusts a root's fingerprint only.
// Empty on plain transports; after a resumed handshake the leaf may be all there is.
std::vector<std::string> peer_chain_der(const Transport& transport);

// The peer's leaf (`whole_chain`: and what it sent with it) in PEM, made when asked: for XFCC's Cert and Chain. Empty
// on plain transports and without a certificate.
std::string peer_certificate_pem(const Transport& transport, bool whole_chain);

}  // namespace pillion::net
