// A byte stream to one peer: TCP, TLS over TCP, a Unix socket, or a simulated link. The owner implements
// TransportEvents; the transport calls it from the loop and never from inside one of its own verbs (write, pause…), so
// nobody is re-entered.
//
//   open ──► (peer_eof | write_shut, each at most once, in any order) ──► closed
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/chain.h"
#include "proxy/base/error.h"

namespace pillion::net {

// What TLS knows about a connection; empty on plain transports. Strings are the transport's own.
struct TlsInfo {
  std::string version;  // "TLSv1.3"
  std::string cipher;
  std::string sni;                    // as the client asked, lower case
  std::string alpn;                   // as negotiated
  std::string peer_uri_san;           // the first URI SAN of the verified peer certificate: its SPIFFE ID
  std::string peer_subject;           // RFC 2253
  std::string peer_certificate_hash;  // SHA-256 of the DER, lower-case hex
  std::string local_uri_san;
  std::vector<std::string> peer_dns_sans;
};

class TransportEvents {
 public:
  // Bytes arrived. What the owner leaves in `in` stays the transport's and is shown again with the next bytes.
  virtual void on_bytes(Chain& in) = 0;
  virtual void on_eof() = 0;       // the peer's FIN (TLS: close_notify); writing may go on
  virtual void on_writable() = 0;  // pending_write_bytes() fell below the low mark after it was above the high
  virtual void on_closed(const Error& why) = 0;  // it broke: reset, timeout, TLS alert. Last event; never after close()

 protected:
  ~TransportEvents() = default;
};

class Transport {
 public:
  static constexpr size_t kWriteHighBytes = 1024 * 1024;  // above it is_congested(); on_writable comes at half

  // Dropping a transport closes it: what is pending is given kLingerMs to leave, then it is reset.
  virtual ~Transport() = default;

  virtual void set_events(TransportEvents* events) = 0;  // may change hands (intake -> connection); null = nobody

  virtual void write(Chain&& bytes) = 0;  // takes all; the system call happens at once or at the end of the turn
  virtual size_t pending_write_bytes() const = 0;
  bool is_congested() const { return pending_write_bytes() > kWriteHighBytes; }
  virtual void shutdown_write() = 0;  // FIN (TLS: close_notify, then FIN) once everything pending has left
  virtual void close() = 0;           // linger as above; no more events. Idempotent
  virtual void reset() = 0;           // RST at once; no more events

  // A count of reasons: reading goes on when every pause was taken back. After the last resume, bytes already held
  // (TLS records, leftovers) are shown from the loop before the socket is waited for.
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;
  virtual Chain take_unread() = 0;  // bytes received and not yet consumed, when it changes hands

  virtual const Address& peer_address() const = 0;
  virtual const Address& local_address() const = 0;
  virtual const TlsInfo* tls() const { return nullptr; }
  // Whether none of the bytes written since `mark` were acknowledged by the peer, and its FIN came before any reset:
  // proof that a request on a reused connection was not processed. Only asked after on_eof/on_closed.
  virtual uint64_t bytes_written() const = 0;
  virtual bool was_unseen_since(uint64_t mark) const = 0;
};
using TransportPtr = std::unique_ptr<Transport>;

}  // namespace pillion::net
