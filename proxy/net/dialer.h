// Makes transports to addresses. The seam between pools and sockets: net/tcp_dialer is the real one, tests/sim has one
// with simulated links.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "proxy/base/address.h"
#include "proxy/base/error.h"
#include "proxy/base/time.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class ClientTlsContext;  // net/tls.h: immutable, made once per secret version, shared by connections

// What a client of HTTP offers by ALPN (RFC 7301) where its TLS context names nothing, as Envoy's pools do: without it
// the peer could not tell HTTP from other bytes.
enum class AlpnOffer : uint8_t { none, http11, http2, http2_or_http11 };

struct DialOptions {
  Address remote;
  Address bind;                         // none = the kernel chooses; 127.0.0.6 marks inbound traffic as the proxy's
  Duration connect_timeout{5'000'000};  // TCP and TLS handshake together
  std::shared_ptr<const ClientTlsContext> tls;  // null = plain
  std::string sni;                              // overrides the context's when not empty
  std::string verify_host;                      // auto_san_validation: a DNS SAN that the peer must have; empty = none
  AlpnOffer alpn_default = AlpnOffer::none;     // used if the context has no alpn_protocols
  bool carries_http1 = false;  // config::kCarryAlpn goes in front of what is offered, if that is HTTP over mutual TLS
  bool tcp_keepalive = false;
};

class DialEvents {
 public:
  virtual void on_dialed(TransportPtr transport) = 0;  // TLS, if any, is done; ALPN is in transport->tls()
  virtual void on_dial_failed(const Error& why) = 0;
  // Of a TLS handshake: `detail` says in words what was wrong, for a log. Who does not care implements the first only.
  virtual void on_dial_failed(const Error& why, std::string_view detail) {
    (void)detail;
    on_dial_failed(why);
  }

 protected:
  ~DialEvents() = default;
};

// A dial that is under way. Dropping it cancels; after an event it is spent. Neither event comes from inside dial().
class Dial {
 public:
  virtual ~Dial() = default;
};

class Dialer {
 public:
  virtual ~Dialer() = default;
  [[nodiscard]] virtual std::unique_ptr<Dial> dial(const DialOptions& options, DialEvents& events) = 0;
};

}  // namespace pillion::net
