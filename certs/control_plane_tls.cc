#include "certs/control_plane_tls.h"

#include "certs/verify.h"
#include "proxy/base/log.h"
#include "proxy/net/tls.h"

namespace pillion::certs {
namespace {

constexpr int kTls13 = 0x0304;

std::shared_ptr<const net::ClientTlsContext> make_context(const config::TlsContext& config,
                                                          const net::TlsSecrets& secrets) {
  auto made = net::make_client_context(config, secrets);
  if (made) return std::move(*made);
  PILLION_LOG(error, "control plane: no TLS context: {}", made.error());
  return nullptr;
}

}  // namespace

std::shared_ptr<const net::ClientTlsContext> ControlPlaneTls::context() {
  const SharedMaterial& material = store_.current();
  if (material == nullptr) return nullptr;
  if (made_ != nullptr && made_of_version_ == material->version) return made_;
  const auto self = SpiffeId::parse(material->spiffe_id);
  if (!self) return nullptr;
  config::TlsContext config;
  config.version_min = kTls13;
  config.alpn = {"h2"};
  config.certificates.push_back({.material = material});
  config.has_validation = true;
  config.validation.trust.material = material;
  config.validation.sans.push_back(
      {config::SanMatcher::Type::uri,
       {.text = "spiffe://" + std::string(self->trust_domain()) + std::string(kControlPlanePath)}});
  made_ = make_context(config, {.certificates = {material}, .trust = material});
  made_of_version_ = material->version;
  return made_;
}

std::shared_ptr<const net::ClientTlsContext> FirstContactTls::context() {
  if (made_ != nullptr) return made_;
  config::TlsContext config;
  config.version_min = kTls13;
  config.alpn = {"h2"};
  made_ = make_context(config, {});
  return made_;
}

bool FirstContactTls::accept_peer(const net::Transport& transport) {
  root_pem_.clear();
  const auto refuse = [this](std::string reason) {
    refusal_ = std::move(reason);
    return false;
  };
  const auto chain = parse_der_chain(net::peer_chain_der(transport));
  if (!chain) return refuse(chain.error().reason);
  auto met = verify_first_contact(*chain, root_fingerprint_, trust_domain_, wall_now_us() / 1'000'000);
  if (!met) return refuse(met.error().reason);
  // Any workload of the mesh has a certificate under this root; only one of them may be told the token.
  if (met->server.path() != kControlPlanePath) return refuse(met->server.to_string() + " is not the control plane");
  refusal_.clear();
  root_pem_ = std::move(met->root_pem);
  return true;
}

}  // namespace pillion::certs
