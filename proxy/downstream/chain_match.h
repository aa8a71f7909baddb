// Which filter chain serves a connection: envoy.config.listener.v3.FilterChainMatch. Pure.
//
// Nine criteria are looked at one after the other, in the order of the fields below. Each keeps only the chains that
// fit it most specifically, and there is no way back: a chain that names the destination's port shuts out all that name
// none, even if it is shut out itself by a later criterion. When nothing is left, the default chain serves.
#pragma once

#include <span>
#include <string_view>

#include "proxy/config/listener.h"

namespace pillion::downstream {

// What is known of a connection when its chain is chosen.
struct ChainQuery {
  Address destination;                                      // the original one, where the connection was captured
  std::string_view server_name;                             // SNI, lower case; empty where there is none
  std::string_view transport_protocol = "raw_buffer";       // or "tls"
  std::span<const std::string_view> application_protocols;  // offered by ALPN, or found by looking
  Address direct_source;                                    // the socket's peer
  Address source;                                           // … or what PROXY protocol said of it
};

// Null: no chain matches and there is no default chain.
const config::FilterChain* match_chain(const config::Listener& listener, const ChainQuery& query);

}  // namespace pillion::downstream
