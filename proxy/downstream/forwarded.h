// What the connection manager makes of a request before it is routed, and of a response before it is sent: paths and
// hosts in one spelling, who the client is (x-forwarded-*, x-envoy-*), what it may not say from outside, its
// certificate (x-forwarded-client-cert), x-request-id, via, server and date. Pure: heads in, heads out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/random.h"
#include "proxy/base/rare.h"
#include "proxy/config/listener.h"
#include "proxy/downstream/local_reply.h"
#include "proxy/http/message.h"
#include "proxy/net/transport.h"

namespace pillion::downstream {

// The connection's peer; what is text is made once per connection, and outlives the heads that refer to it.
struct Peer {
  Address address;
  std::string ip;
  bool is_tls = false;
  bool has_certificate = false;
  Rare<std::string> certificate;  // this hop's element of x-forwarded-client-cert
};

// Who sent the request, as far as the connection manager believes it.
struct Origin {
  Address remote;
  bool is_internal = false;
};

// Path and host, and header names with underscores. A reply: the request is refused, or redirected to the path that it
// should have used. `local_port` is that of the listener's socket.
std::optional<LocalReply> normalise_request(const config::HttpConnectionManager& manager, uint16_t local_port,
                                            http::RequestHead& head);

// `internal_only`: header names that only internal clients may send.
Origin apply_forwarding(const config::HttpConnectionManager& manager, const Peer& peer,
                        const std::vector<std::string>& internal_only, Random& random, http::RequestHead& head);

// By=…;Hash=…;Subject="…";URI=…;DNS=…, as set_current_client_cert_details asks. `chain_der`: the peer's certificates.
std::string client_certificate_element(const config::HttpConnectionManager& manager, const net::TlsInfo& tls,
                                       const std::vector<std::string>& chain_der);

// `request` may be null (it was refused). The views of `date` are copied.
void finish_response(const config::HttpConnectionManager& manager, const http::RequestHead* request,
                     std::string_view date, http::ResponseHead& head);

// One path in normal form, without its query: dot segments resolved, backslashes turned, unreserved letters unescaped.
// None where it holds an escaped zero byte.
std::optional<std::string_view> canonical_path(std::string_view path, Arena& arena);

}  // namespace pillion::downstream
