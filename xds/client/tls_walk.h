// The TLS contexts of a listener or a cluster, each with its place, and the secrets that a context names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "proxy/config/cluster.h"
#include "proxy/config/listener.h"

namespace pillion::xds::client {

// Where a context stands in its resource. Made into words only when somebody wants to read them.
struct TlsPlace {
  enum class Part : uint8_t { chain, default_chain, socket, socket_match };
  Part part = Part::socket;
  size_t index = 0;  // of the chain or the match
  bool is_server() const { return part == Part::chain || part == Part::default_chain; }
  // "filter_chains[0].transport_socket.typed_config.common_tls_context"
  std::string to_string() const;
};

// What a context takes from a secret.
enum class SecretUse : uint8_t { certificate, trust };

template <class Visit>  // (const config::TlsContext&, TlsPlace)
void for_each_tls(const config::Listener& listener, Visit visit) {
  for (size_t i = 0; i < listener.chains.size(); ++i) {
    if (const auto& tls = listener.chains[i].tls; tls != nullptr) visit(*tls, TlsPlace{TlsPlace::Part::chain, i});
  }
  if (listener.default_chain && listener.default_chain->tls != nullptr) {
    visit(*listener.default_chain->tls, TlsPlace{TlsPlace::Part::default_chain});
  }
}

template <class Visit>
void for_each_tls(const config::Cluster& cluster, Visit visit) {
  if (cluster.tls != nullptr) visit(*cluster.tls, TlsPlace{TlsPlace::Part::socket});
  for (size_t i = 0; i < cluster.socket_matches.size(); ++i) {
    const auto& tls = cluster.socket_matches[i].tls;
    if (tls != nullptr) visit(*tls, TlsPlace{TlsPlace::Part::socket_match, i});
  }
}

template <class Resource, class Visit>  // (const config::SecretRef&, SecretUse); only those that have a name
void for_each_secret(const Resource& resource, Visit visit) {
  for_each_tls(resource, [&](const config::TlsContext& tls, TlsPlace) {
    for (const config::SecretRef& ref : tls.certificates) {
      if (!ref.name.empty()) visit(ref, SecretUse::certificate);
    }
    if (!tls.validation.trust.name.empty()) visit(tls.validation.trust, SecretUse::trust);
  });
}

}  // namespace pillion::xds::client
