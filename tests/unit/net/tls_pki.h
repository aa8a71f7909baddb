// A small certificate authority for the tests of net/: leaves of any kind, good and bad.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include <doctest/doctest.h>

#include "proxy/base/tls_material.h"
#include "proxy/net/tls_openssl.h"

namespace pillion::net::test {

inline std::string pem_of(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  REQUIRE(PEM_write_bio_X509(bio.get(), certificate) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

inline std::string pem_of(EVP_PKEY* key) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  REQUIRE(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

struct Leaf {
  const char* common_name = "leaf";
  std::string sans;  // as openssl.cnf spells them: "URI:spiffe://a/b,DNS:x"
  bool rsa = false;
  long from_seconds = -60;
  long to_seconds = 3600;
  const char* usages = "serverAuth,clientAuth";
};

class Authority {
 public:
  explicit Authority(const char* name) : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509* c = certificate_.get();
    fill(c, name, -60, 3600);
    X509_set_issuer_name(c, X509_get_subject_name(c));
    X509_set_pubkey(c, key_.get());
    extend(c, c, NID_basic_constraints, "critical,CA:TRUE");
    extend(c, c, NID_key_usage, "critical,keyCertSign,cRLSign");
    REQUIRE(X509_sign(c, key_.get(), EVP_sha256()) > 0);
  }

  std::string pem() const { return pem_of(certificate_.get()); }

  std::shared_ptr<const TlsMaterial> issue(const Leaf& leaf) const {
    const PkeyPtr key(leaf.rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    const X509Ptr certificate(X509_new());
    X509* c = certificate.get();
    fill(c, leaf.common_name, leaf.from_seconds, leaf.to_seconds);
    X509_set_issuer_name(c, X509_get_subject_name(certificate_.get()));
    X509_set_pubkey(c, key.get());
    extend(c, certificate_.get(), NID_key_usage, "critical,digitalSignature");
    extend(c, certificate_.get(), NID_ext_key_usage, leaf.usages);
    if (!leaf.sans.empty()) extend(c, certificate_.get(), NID_subject_alt_name, leaf.sans.c_str());
    REQUIRE(X509_sign(c, key_.get(), EVP_sha256()) > 0);
    auto material = std::make_shared<TlsMaterial>();
    material->cert_chain = pem_of(c);
    material->private_key = pem_of(key.get());
    return material;
  }

  std::shared_ptr<const TlsMaterial> trust() const {
    auto material = std::make_shared<TlsMaterial>();
    material->trust_bundle = pem();
    return material;
  }

 private:
  static void fill(X509* c, const char* name, long from, long to) {
    static long serial = 1000;
    X509_set_version(c, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(c), from);
    X509_gmtime_adj(X509_getm_notAfter(c), to);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
  }
  static void extend(X509* c, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, c, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    REQUIRE(extension != nullptr);
    X509_add_ext(c, extension, -1);
    X509_EXTENSION_free(extension);
  }

  PkeyPtr key_;
  X509Ptr certificate_;
};

}  // namespace pillion::net::test
