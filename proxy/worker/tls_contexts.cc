#include "proxy/worker/tls_contexts.h"

#include "proxy/base/log.h"

namespace pillion::worker {
namespace {

std::unexpected<Error> failed(const char* what) {
  return std::unexpected(Error{Code::tls_failed, Side::local, Retry::never, 0, what});
}

}  // namespace

void TlsContextCache::publish(config::SnapshotPtr snapshot) {
  const bool same = snapshot_ != nullptr && snapshot_->secrets == snapshot->secrets &&
                    snapshot_->listeners == snapshot->listeners && snapshot_->clusters == snapshot->clusters;
  snapshot_ = std::move(snapshot);
  if (same) return;
  clients_.clear();
  servers_.clear();
}

std::shared_ptr<const TlsMaterial> TlsContextCache::find(const config::SecretRef& ref) const {
  if (ref.material != nullptr) return ref.material;
  if (snapshot_ == nullptr) return nullptr;
  const auto found = snapshot_->secrets.find(ref.key());
  return found == snapshot_->secrets.end() ? nullptr : found->second;
}

Expected<net::TlsSecrets> TlsContextCache::secrets_of(const config::TlsContext& tls) const {
  net::TlsSecrets out;
  for (const config::SecretRef& ref : tls.certificates) {
    out.certificates.push_back(find(ref));
    if (out.certificates.back() == nullptr) return failed("a certificate has not arrived");
  }
  if (tls.has_validation && tls.validation.trust.is_set()) {
    out.trust = find(tls.validation.trust);
    if (out.trust == nullptr) return failed("the roots to trust have not arrived");
  }
  return out;
}

Expected<std::shared_ptr<const net::ClientTlsContext>> TlsContextCache::client(const config::TlsContext& tls) {
  std::shared_ptr<const net::ClientTlsContext>& slot = clients_[&tls];
  if (slot != nullptr) return slot;
  Expected<net::TlsSecrets> secrets = secrets_of(tls);
  if (!secrets) return std::unexpected(secrets.error());
  auto made = net::make_client_context(tls, *secrets);
  if (!made) {
    PILLION_LOG(error, "TLS towards endpoints: {}", made.error());
    return failed("the TLS context could not be made");
  }
  return slot = *made;
}

Expected<std::shared_ptr<const net::ServerTlsContext>> TlsContextCache::server(const config::TlsContext& tls) {
  std::shared_ptr<const net::ServerTlsContext>& slot = servers_[&tls];
  if (slot != nullptr) return slot;
  Expected<net::TlsSecrets> secrets = secrets_of(tls);
  if (!secrets) return std::unexpected(secrets.error());
  auto made = net::make_server_context(tls, *secrets);
  if (!made) {
    PILLION_LOG(error, "TLS of a listener: {}", made.error());
    return failed("the TLS context could not be made");
  }
  return slot = *made;
}

}  // namespace pillion::worker
