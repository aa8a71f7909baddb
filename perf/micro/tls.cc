#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "perf/micro/part.h"
#include "proxy/base/check.h"
#include "proxy/net/tls.h"
#include "proxy/net/tls_engine.h"

namespace pillion::micro {
namespace {

using net::TlsEngine;

template <auto Write, class... Rest>
std::string pem(Rest... rest) {
  const net::BioPtr bio(BIO_new(BIO_s_mem()));
  PILLION_CHECK(Write(bio.get(), rest...) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<size_t>(size)};
}

// A certificate that proves nothing: only the records after the handshake are measured.
std::shared_ptr<const TlsMaterial> make_material() {
  const net::PkeyPtr key(EVP_EC_gen("P-256"));
  const net::X509Ptr certificate(X509_new());
  X509* c = certificate.get();
  X509_set_version(c, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(c), 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -60);
  X509_gmtime_adj(X509_getm_notAfter(c), 3600);
  X509_set_pubkey(c, key.get());
  PILLION_CHECK(X509_sign(c, key.get(), EVP_sha256()) > 0);
  auto material = std::make_shared<TlsMaterial>();
  material->cert_chain = pem<PEM_write_bio_X509>(c);
  material->private_key = pem<PEM_write_bio_PKCS8PrivateKey>(key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return material;
}

std::shared_ptr<const net::ServerTlsContext> server_context() {
  auto made = net::make_server_context({}, {.certificates = {make_material()}, .trust = nullptr});
  PILLION_CHECK(made.has_value());
  return *made;
}

std::shared_ptr<const net::ClientTlsContext> client_context() {
  auto made = net::make_client_context({}, {});
  PILLION_CHECK(made.has_value());
  return *made;
}

class Session {
 public:
  Session() : server_(pool_, server_context()), client_(pool_, client_context(), "", "", "peer") {
    for (int i = 0; i < 4; ++i) {
      const TlsEngine::Result client = client_.handshake();
      server_.cipher_in.append(std::move(client_.cipher_out));
      const TlsEngine::Result server = server_.handshake();
      client_.cipher_in.append(std::move(server_.cipher_out));
      if (client == TlsEngine::Result::ok && server == TlsEngine::Result::ok) break;
      PILLION_CHECK(client != TlsEngine::Result::failed && server != TlsEngine::Result::failed);
    }
    carry(std::string(1, 'x'));  // takes the tickets too
  }

  void carry(const std::string& text) {
    Chain plain, got;
    plain.append(pool_, text);
    PILLION_CHECK(server_.encrypt(plain) == TlsEngine::Result::ok);
    client_.cipher_in.append(std::move(server_.cipher_out));
    client_.decrypt(got);
    PILLION_CHECK(got.size() == text.size());
  }

 private:
  ChunkPool pool_;
  TlsEngine server_, client_;
};

}  // namespace

void add_tls_records(Parts& parts) {
  const auto session = std::make_shared<Session>();
  for (const size_t bytes : {size_t{300}, size_t{16} * 1024}) {
    parts.push_back(make_part("TLS record, " + std::to_string(bytes) + " bytes",
                              [session, text = std::string(bytes, 'y')](size_t times) {
                                while (times-- > 0) session->carry(text);
                              }));
  }
}

}  // namespace pillion::micro
