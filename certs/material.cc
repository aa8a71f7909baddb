#include "certs/material.h"

#include "certs/openssl.h"
#include "certs/verify.h"

namespace pillion::certs {
namespace {

Result<void> check_against_bundle(const Chain& chain, const TlsMaterial& material, int64_t now) {
  auto id = spiffe_id_of(*chain.front());
  if (!id) return failure_of(id);
  auto verifier = Verifier::make(id->trust_domain(), material.trust_bundle);
  if (!verifier) return failure_of(verifier);
  for (const PeerRole role : {PeerRole::server, PeerRole::client}) {
    if (auto ok = verifier->verify(chain, role, now); !ok) {
      return failure("a peer with the same roots would refuse this identity: " + ok.error().reason);
    }
  }
  return {};
}

}  // namespace

Result<TlsMaterial> make_material(std::string cert_chain, std::string private_key, std::string trust_bundle,
                                  int64_t now) {
  TlsMaterial material{.cert_chain = std::move(cert_chain),
                       .private_key = std::move(private_key),
                       .trust_bundle = std::move(trust_bundle)};
  auto chain = parse_certificates(material.cert_chain);
  if (!chain) return failure("the certificate chain is not usable: " + chain.error().reason);
  auto key = parse_private_key(material.private_key);
  if (!key) return failure_of(key);
  X509& leaf = *chain->front();
  if (X509_check_private_key(&leaf, key->get()) != 1) {
    openssl_reason();
    return failure("the private key does not belong to the certificate");
  }
  if (auto ok = check_against_bundle(*chain, material, now); !ok) return failure_of(ok);
  material.spiffe_id = spiffe_id_of(leaf)->to_string();
  material.not_before = not_before(leaf);
  material.not_after = not_after(leaf);
  return material;
}

}  // namespace pillion::certs
