#include "proxy/net/tls_peers.h"

#include <fmt/format.h>

#include "proxy/net/tls_peer.h"

namespace pillion::net {
namespace {

// The names follow from the certificate, unless it was not believed and only let in (trust_chain_verification:
// ACCEPT_UNTRUSTED): the same certificate may have been believed at another time or for another host.
std::string key_of(const TlsInfo& info) {
  const bool has_names = !info.peer_subject.empty() || !info.peer_uri_san.empty() || !info.peer_dns_sans.empty();
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", info.version, info.cipher, info.sni, info.alpn, info.local_uri_san,
                     has_names, info.peer_certificate_hash);
}

}  // namespace

std::string der_of(X509* certificate) {
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return {};
  std::string der(static_cast<size_t>(size), '\0');
  auto* at = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(certificate, &at);
  return der;
}

std::shared_ptr<const TlsInfo> TlsPeers::share(TlsInfo&& info) {
  // Whoever has no certificate could fill the table with names of servers that it asks for.
  if (info.peer_certificate_hash.empty()) return std::make_shared<const TlsInfo>(std::move(info));
  const std::string key = key_of(info);
  const std::lock_guard lock(mutex_);
  if (const auto found = infos_.find(key); found != infos_.end()) return found->second;
  if (infos_.size() >= kPeersMax) infos_.clear();
  return infos_.emplace(key, std::make_shared<const TlsInfo>(std::move(info))).first->second;
}

TlsPeers::ChainPtr TlsPeers::take_from(SSL* ssl) {
  const X509Ptr leaf(SSL_get1_peer_certificate(ssl));
  if (leaf == nullptr) return nullptr;
  std::vector<std::string> ders;
  STACK_OF(X509)* const chain = SSL_get_peer_cert_chain(ssl);
  while (chain != nullptr && sk_X509_num(chain) > 0) {
    const X509Ptr above(sk_X509_shift(chain));
    ders.push_back(der_of(above.get()));
  }
  std::string digest = sha256_hex(leaf.get());
  const std::lock_guard lock(mutex_);
  if (known_.size() >= kPeersMax && !known_.contains(digest)) known_.clear();
  Known& known = known_[std::move(digest)];
  if (known.key != nullptr) {
    X509_set_pubkey(leaf.get(), known.key.get());
  } else {
    known.key.reset(X509_get_pubkey(leaf.get()));
  }
  ERR_clear_error();
  if (known.chain == nullptr || *known.chain != ders) {
    known.chain = std::make_shared<const std::vector<std::string>>(std::move(ders));
  }
  return known.chain;
}

}  // namespace pillion::net
