#include "certs/openssl.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <ctime>

#include "certs/encoding.h"

namespace pillion::certs {
namespace {

constexpr int kMinRsaBits = 2048;
constexpr int kMaxRsaBits = 8192;  // Verifying a larger one costs more than any certificate is worth.

// Without a callback OpenSSL asks on the terminal and blocks the process.
int refuse_password(char*, int, int, void*) {
  return -1;
}

BioPtr reader(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string text_of(BIO& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

int64_t unix_seconds(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

bool decoded_from_explicit_curve(EVP_PKEY& key) {
  int is_explicit = 0;
  if (EVP_PKEY_get_int_param(&key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) != 1) return true;
  return is_explicit != 0;
}

}  // namespace

std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "unknown reason" : reason;
}

Result<Chain> parse_certificates(std::string_view pem, size_t max) {
  if (pem.size() > kMaxPemBytes) return failure("the certificate text is longer than 1 MiB");
  const BioPtr bio = reader(pem);
  Chain chain;
  ERR_clear_error();
  while (CertPtr cert{PEM_read_bio_X509(bio.get(), nullptr, refuse_password, nullptr)}) {
    if (chain.size() == max) return failure("there are more than " + std::to_string(max) + " certificates");
    chain.push_back(std::move(cert));
  }
  // The end of the text is reported as "no start line"; everything else is a damaged block.
  const unsigned long last = ERR_peek_last_error();
  if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
    return failure("certificate " + std::to_string(chain.size() + 1) + " cannot be read: " + openssl_reason());
  }
  ERR_clear_error();
  if (chain.empty()) return failure("there is no PEM certificate");
  return chain;
}

Result<Chain> parse_der_chain(std::span<const std::string> der) {
  if (der.empty()) return failure("there is no certificate");
  if (der.size() > kMaxChainCertificates) {
    return failure("there are more than " + std::to_string(kMaxChainCertificates) + " certificates");
  }
  Chain chain;
  for (const std::string& one : der) {
    if (one.size() > kMaxPemBytes) return failure("a certificate is longer than 1 MiB");
    const auto* at = reinterpret_cast<const unsigned char*>(one.data());
    const auto* end = at + one.size();
    CertPtr cert{d2i_X509(nullptr, &at, static_cast<long>(one.size()))};
    if (cert == nullptr || at != end) {
      return failure("certificate " + std::to_string(chain.size() + 1) + " cannot be read: " + openssl_reason());
    }
    chain.push_back(std::move(cert));
  }
  return chain;
}

Result<KeyPtr> parse_private_key(std::string_view pem) {
  if (pem.size() > kMaxPemBytes) return failure("the key text is longer than 1 MiB");
  const BioPtr bio = reader(pem);
  ERR_clear_error();
  KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_password, nullptr)};
  if (key == nullptr) return failure("there is no unencrypted PEM private key: " + openssl_reason());
  return key;
}

std::string to_pem(const X509& cert) {
  const BioPtr bio{BIO_new(BIO_s_mem())};
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), &cert) != 1) return {};
  return text_of(*bio);
}

std::string to_pem(const Chain& chain) {
  std::string pem;
  for (const CertPtr& cert : chain) pem += to_pem(*cert);
  return pem;
}

Result<std::string> private_key_to_pem(const EVP_PKEY& key) {
  // A memory BIO clears its buffer when it is freed, so no second copy of the key stays behind.
  const BioPtr bio{BIO_new(BIO_s_mem())};
  if (bio == nullptr || PEM_write_bio_PKCS8PrivateKey(bio.get(), &key, nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return failure("the private key cannot be encoded: " + openssl_reason());
  }
  return text_of(*bio);
}

std::string fingerprint(const X509& cert) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (X509_digest(&cert, EVP_sha256(), digest, &size) != 1) return {};
  return hex_encode({reinterpret_cast<const char*>(digest), size});
}

bool same_certificate(const X509& a, const X509& b) {
  return X509_cmp(&a, &b) == 0;
}

bool is_self_signed(const X509& cert) {
  const bool self_signed = X509_self_signed(const_cast<X509*>(&cert), /*verify_signature=*/1) == 1;
  ERR_clear_error();
  return self_signed;
}

int64_t not_before(const X509& cert) {
  return unix_seconds(X509_get0_notBefore(&cert));
}
int64_t not_after(const X509& cert) {
  return unix_seconds(X509_get0_notAfter(&cert));
}

std::string utc_text(int64_t unix_seconds) {
  const time_t seconds = unix_seconds;
  std::tm parts{};
  char text[64];
  if (gmtime_r(&seconds, &parts) == nullptr || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) {
    return std::to_string(unix_seconds);
  }
  return text;
}

Result<std::string> secure_random(size_t count) {
  std::string bytes(count, '\0');
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(count)) != 1) {
    return failure("the system has no randomness to give: " + openssl_reason());
  }
  return bytes;
}

Result<void> check_key_policy(EVP_PKEY& key, bool allow_rsa) {
  if (EVP_PKEY_is_a(&key, "RSA") == 1 && allow_rsa) {
    const int bits = EVP_PKEY_get_bits(&key);
    if (bits >= kMinRsaBits && bits <= kMaxRsaBits) return {};
    return failure("an RSA key must have 2048 to 8192 bits, this one has " + std::to_string(bits));
  }
  if (EVP_PKEY_is_a(&key, "EC") != 1) return failure("the key is not an elliptic-curve key on P-256 or P-384");
  char group[64] = "";
  if (EVP_PKEY_get_group_name(&key, group, sizeof group, nullptr) != 1 || decoded_from_explicit_curve(key)) {
    ERR_clear_error();
    return failure("the key does not name its curve; P-256 and P-384 are accepted by name");
  }
  const std::string_view curve = group;
  if (curve != SN_X9_62_prime256v1 && curve != SN_secp384r1) {
    return failure("the key is on another curve than P-256 or P-384");
  }
  const KeyContextPtr context{EVP_PKEY_CTX_new(&key, nullptr)};
  if (context == nullptr || EVP_PKEY_public_check(context.get()) != 1) {
    return failure("the public key is not a valid point of its curve: " + openssl_reason());
  }
  return {};
}

Result<KeyPtr> make_p256_key() {
  KeyPtr key{EVP_EC_gen("P-256")};
  if (key == nullptr) return failure("a key cannot be generated: " + openssl_reason());
  return key;
}

}  // namespace pillion::certs
