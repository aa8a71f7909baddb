#include "certs/csr.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include "certs/files.h"
#include "certs/x509_build.h"

namespace pillion::certs {
namespace {

Result<std::string> csr_for(EVP_PKEY& key, const SpiffeId& id) {
  const CsrPtr csr{X509_REQ_new()};
  if (csr == nullptr) return failure("a signing request cannot be made: " + openssl_reason());
  const ExtensionsPtr extensions{sk_X509_EXTENSION_new_null()};
  const bool ok =
      extensions != nullptr && add_uri_name(*extensions, id, /*critical=*/true) &&
      X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1) == 1 && X509_REQ_set_pubkey(csr.get(), &key) == 1 &&
      X509_REQ_add_extensions(csr.get(), extensions.get()) == 1 && X509_REQ_sign(csr.get(), &key, EVP_sha256()) > 0;
  const BioPtr bio{BIO_new(BIO_s_mem())};
  if (!ok || bio == nullptr || PEM_write_bio_X509_REQ(bio.get(), csr.get()) != 1) {
    return failure("a signing request cannot be made: " + openssl_reason());
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

Result<KeyAndCsr> make_key_and_csr(const SpiffeId& id) {
  auto key = make_p256_key();
  if (!key) return failure_of(key);
  auto csr = csr_for(**key, id);
  if (!csr) return failure_of(csr);
  auto pem = private_key_to_pem(**key);
  if (!pem) return failure_of(pem);
  return KeyAndCsr{.private_key = std::move(*pem), .csr = std::move(*csr)};
}

Result<KeyAndCsr> make_csr_with_key_file(const std::string& key_path, const SpiffeId& id) {
  auto stored = read_secret_file(key_path);
  if (!stored) return failure_of(stored);
  if (!stored->has_value()) {
    auto fresh = make_key_and_csr(id);
    if (!fresh) return failure_of(fresh);
    auto created = create_file(key_path, fresh->private_key);
    if (!created) return failure_of(created);
    if (*created) return fresh;
    stored = read_secret_file(key_path);  // Somebody else was faster; theirs is the key.
    if (!stored) return failure_of(stored);
    if (!stored->has_value()) return failure("the key file was removed while it was being made", key_path);
  }
  KeyAndCsr out;
  out.private_key = std::move(**stored);
  auto key = parse_private_key(out.private_key);
  if (!key) return failure(key.error().reason, key_path);
  if (auto ok = check_key_policy(**key, /*allow_rsa=*/false); !ok) return failure(ok.error().reason, key_path);
  auto csr = csr_for(**key, id);
  if (!csr) return failure_of(csr);
  out.csr = std::move(*csr);
  return out;
}

Result<KeyPtr> public_key_of_csr(std::string_view csr_pem) {
  if (csr_pem.size() > kMaxCsrBytes) return failure("the signing request is longer than 16 KiB");
  const BioPtr bio{BIO_new_mem_buf(csr_pem.data(), static_cast<int>(csr_pem.size()))};
  ERR_clear_error();
  const CsrPtr csr{PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr)};
  if (csr == nullptr) return failure("the signing request cannot be read: " + openssl_reason());
  if (const CsrPtr second{PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr)}; second != nullptr) {
    return failure("there is more than one signing request");
  }
  ERR_clear_error();
  KeyPtr key{X509_REQ_get_pubkey(csr.get())};
  if (key == nullptr) return failure("the signing request's public key cannot be read: " + openssl_reason());
  // Before the signature: what its check costs depends on the kind of key.
  if (auto ok = check_key_policy(*key, /*allow_rsa=*/false); !ok) return failure_of(ok);
  if (X509_REQ_verify(csr.get(), key.get()) != 1) {
    ERR_clear_error();
    return failure("the signing request is not signed by the key it names");
  }
  return key;
}

}  // namespace pillion::certs
