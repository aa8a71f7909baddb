#include "certs/x509_build.h"

#include <openssl/bn.h>

#include "proxy/base/address.h"

namespace pillion::certs {
namespace {

constexpr int kSerialBits = 159;         // RFC 5280 section 4.1.2.2: at most 20 octets, and positive.
constexpr int kKeyIdentifierBytes = 20;  // RFC 7093 section 2, method 1: the first 160 bits of SHA-256.
constexpr int kP384Bits = 384;

using BigNumberPtr = std::unique_ptr<BIGNUM, OpensslFree<BN_free>>;
using BasicConstraintsPtr = std::unique_ptr<BASIC_CONSTRAINTS, OpensslFree<BASIC_CONSTRAINTS_free>>;
using BitStringPtr = std::unique_ptr<ASN1_BIT_STRING, OpensslFree<ASN1_BIT_STRING_free>>;
using UsesPtr = std::unique_ptr<EXTENDED_KEY_USAGE, OpensslFree<EXTENDED_KEY_USAGE_free>>;
using OctetsPtr = std::unique_ptr<ASN1_OCTET_STRING, OpensslFree<ASN1_OCTET_STRING_free>>;
using AuthorityKeyIdPtr = std::unique_ptr<AUTHORITY_KEYID, OpensslFree<AUTHORITY_KEYID_free>>;

// Takes `value` over, also where it fails.
bool push_name(GENERAL_NAMES& names, int type, ASN1_STRING* value, const void* bytes, size_t size) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  if (name == nullptr || value == nullptr || ASN1_STRING_set(value, bytes, static_cast<int>(size)) != 1) {
    ASN1_STRING_free(value);
    GENERAL_NAME_free(name);
    return false;
  }
  GENERAL_NAME_set0_value(name, type, value);  // The name owns the value from here on.
  if (sk_GENERAL_NAME_push(&names, name) != 0) return true;
  GENERAL_NAME_free(name);
  return false;
}

NamesPtr uri_name(const SpiffeId& id) {
  NamesPtr names{GENERAL_NAMES_new()};
  const std::string& uri = id.to_string();
  const bool ok = names != nullptr && push_name(*names, GEN_URI, ASN1_IA5STRING_new(), uri.data(), uri.size());
  return ok ? std::move(names) : nullptr;
}

bool push_host(GENERAL_NAMES& names, const std::string& host) {
  if (const auto ip = Address::parse_ip(host, 0)) {
    return push_name(names, GEN_IPADD, ASN1_OCTET_STRING_new(), ip->bytes(), ip->family() == AF_INET ? 4 : 16);
  }
  return push_name(names, GEN_DNS, ASN1_IA5STRING_new(), host.data(), host.size());
}

bool add(X509& cert, int nid, void* value, bool critical) {
  return X509_add1_ext_i2d(&cert, nid, value, critical ? 1 : 0, X509V3_ADD_APPEND) == 1;
}

OctetsPtr new_key_identifier(const X509& cert) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  OctetsPtr octets{ASN1_OCTET_STRING_new()};
  if (octets == nullptr || X509_pubkey_digest(&cert, EVP_sha256(), digest, &size) != 1 ||
      ASN1_OCTET_STRING_set(octets.get(), digest, kKeyIdentifierBytes) != 1) {
    return nullptr;
  }
  return octets;
}

}  // namespace

bool add_uri_name(STACK_OF(X509_EXTENSION) & list, const SpiffeId& id, bool critical) {
  const NamesPtr names = uri_name(id);
  STACK_OF(X509_EXTENSION)* at = &list;
  return names != nullptr &&
         X509V3_add1_i2d(&at, NID_subject_alt_name, names.get(), critical ? 1 : 0, X509V3_ADD_APPEND) == 1;
}

bool add_names(X509& cert, const SpiffeId& id, std::span<const std::string> hosts, bool critical) {
  const NamesPtr names = uri_name(id);
  if (names == nullptr) return false;
  for (const std::string& host : hosts) {
    if (!push_host(*names, host)) return false;
  }
  return add(cert, NID_subject_alt_name, names.get(), critical);
}

bool add_uri_name(X509& cert, const SpiffeId& id, bool critical) {
  return add_names(cert, id, {}, critical);
}

bool add_basic_constraints(X509& cert, bool is_authority) {
  const BasicConstraintsPtr constraints{BASIC_CONSTRAINTS_new()};
  if (constraints == nullptr) return false;
  constraints->ca = is_authority ? 0xff : 0;
  if (is_authority) {
    // It signs workloads only, so nothing that it signs can sign further.
    constraints->pathlen = ASN1_INTEGER_new();
    if (constraints->pathlen == nullptr || ASN1_INTEGER_set(constraints->pathlen, 0) != 1) return false;
  }
  return add(cert, NID_basic_constraints, constraints.get(), /*critical=*/true);
}

bool add_key_usage(X509& cert, uint32_t usage) {
  // RFC 5280 counts bits from the most significant one of the first octet, as OpenSSL's KU_* values do.
  const BitStringPtr bits{ASN1_BIT_STRING_new()};
  if (bits == nullptr) return false;
  for (int bit = 0; bit < 8; ++bit) {
    if ((usage & (0x80U >> bit)) != 0 && ASN1_BIT_STRING_set_bit(bits.get(), bit, 1) != 1) return false;
  }
  return add(cert, NID_key_usage, bits.get(), /*critical=*/true);
}

bool add_client_and_server_use(X509& cert) {
  const UsesPtr uses{sk_ASN1_OBJECT_new_null()};
  if (uses == nullptr) return false;
  for (const int nid : {NID_server_auth, NID_client_auth}) {
    if (sk_ASN1_OBJECT_push(uses.get(), OBJ_nid2obj(nid)) == 0) return false;
  }
  return add(cert, NID_ext_key_usage, uses.get(), /*critical=*/false);
}

bool add_key_identifiers(X509& cert, const X509& issuer) {
  const OctetsPtr own = new_key_identifier(cert);
  if (own == nullptr || !add(cert, NID_subject_key_identifier, own.get(), /*critical=*/false)) return false;
  // The issuer's as it stands in its certificate: a given authority may have computed it in another way.
  const ASN1_OCTET_STRING* issuer_id = X509_get0_subject_key_id(const_cast<X509*>(&issuer));
  if (issuer_id == nullptr) return true;  // Then there is nothing to refer to, and chains are built by name.
  const AuthorityKeyIdPtr reference{AUTHORITY_KEYID_new()};
  if (reference == nullptr) return false;
  reference->keyid = ASN1_OCTET_STRING_dup(issuer_id);
  return reference->keyid != nullptr && add(cert, NID_authority_key_identifier, reference.get(), /*critical=*/false);
}

bool set_validity(X509& cert, int64_t not_before, int64_t not_after) {
  return ASN1_TIME_set(X509_getm_notBefore(&cert), not_before) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(&cert), not_after) != nullptr;
}

bool set_random_serial(X509& cert) {
  const BigNumberPtr number{BN_new()};
  return number != nullptr && BN_rand(number.get(), kSerialBits, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) == 1 &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&cert)) != nullptr;
}

CertPtr read_anew(const X509& cert) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(&cert, &der);
  if (size <= 0) return nullptr;
  const unsigned char* at = der;
  CertPtr fresh{d2i_X509(nullptr, &at, size)};
  OPENSSL_free(der);
  return fresh;
}

const EVP_MD* digest_for(const EVP_PKEY& key) {
  if (EVP_PKEY_is_a(&key, "EC") == 1 && EVP_PKEY_get_bits(&key) >= kP384Bits) return EVP_sha384();
  return EVP_sha256();
}

}  // namespace pillion::certs
