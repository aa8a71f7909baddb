// Owners for OpenSSL's objects and the few conversions that the rest of certs/ is built from. Private to certs/ and to
// callers that already hold OpenSSL objects; everything else speaks PEM.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "certs/result.h"

namespace pillion::certs {

template <auto Free>
struct OpensslFree {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};

using BioPtr = std::unique_ptr<BIO, OpensslFree<BIO_free_all>>;
using CertPtr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using CsrPtr = std::unique_ptr<X509_REQ, OpensslFree<X509_REQ_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, OpensslFree<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, OpensslFree<EVP_PKEY_CTX_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, OpensslFree<GENERAL_NAMES_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using StoreContextPtr = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

// A list of certificates, leaf first where it is a chain. Never holds null.
using Chain = std::vector<CertPtr>;

constexpr size_t kMaxChainCertificates = 10;      // What a peer may send: leaf, intermediates, root.
constexpr size_t kMaxBundleCertificates = 64;     // Roots in one trust bundle.
constexpr size_t kMaxPemBytes = size_t{1} << 20;  // Any PEM text that is parsed.

// The reason of the oldest error in OpenSSL's queue ("unknown reason" if there is none); empties the queue, so that a
// later failure is not blamed on this one.
std::string openssl_reason();

// At least one certificate, at most `max`. Other PEM blocks and text between blocks are skipped, as OpenSSL does.
Result<Chain> parse_certificates(std::string_view pem, size_t max = kMaxChainCertificates);
// As sent in a TLS handshake: one DER certificate per element, nothing behind it.
Result<Chain> parse_der_chain(std::span<const std::string> der);
// The first private key in `pem`. Encrypted keys are refused: nobody is there to be asked for a password.
Result<KeyPtr> parse_private_key(std::string_view pem);

std::string to_pem(const X509& cert);
std::string to_pem(const Chain& chain);
Result<std::string> private_key_to_pem(const EVP_PKEY& key);  // PKCS#8, not encrypted. The caller wipes it.

// SHA-256 of the certificate's DER form, 64 lower-case hexadecimal digits. Empty only if OpenSSL is out of memory.
std::string fingerprint(const X509& cert);

bool same_certificate(const X509& a, const X509& b);
bool is_self_signed(const X509& cert);  // Issued by its own key, the signature checked.

int64_t not_before(const X509& cert);        // Unix seconds.
int64_t not_after(const X509& cert);         // Unix seconds.
std::string utc_text(int64_t unix_seconds);  // 2026-01-31T23:59:59Z

// `count` bytes from OpenSSL's generator, for keys, serials and token ids. Fails only if the system has no randomness.
Result<std::string> secure_random(size_t count);

// Elliptic-curve keys on P-256 or P-384 by name (not by explicit parameters), with a point that is on the curve.
// `allow_rsa` also admits RSA of 2048 to 8192 bits: for authorities that are given, not for workloads.
Result<void> check_key_policy(EVP_PKEY& key, bool allow_rsa);
Result<KeyPtr> make_p256_key();

}  // namespace pillion::certs
