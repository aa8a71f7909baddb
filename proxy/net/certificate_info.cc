#include "proxy/net/certificate_info.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <ctime>

#include "proxy/base/address.h"
#include "proxy/net/tls_openssl.h"

namespace pillion::net {
namespace {

using BigNumberPtr = std::unique_ptr<BIGNUM, Freer<BN_free>>;
using NamesPtr = std::unique_ptr<GENERAL_NAMES, Freer<GENERAL_NAMES_free>>;

std::string serial_of(const X509& certificate) {
  const BigNumberPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  if (number == nullptr) return {};
  char* hex = BN_bn2hex(number.get());
  if (hex == nullptr) return {};
  std::string out = hex;
  OPENSSL_free(hex);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) { return c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c; });
  return out;
}

int64_t unix_seconds(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
          static_cast<size_t>(ASN1_STRING_length(string))};
}

std::string ip_of(const ASN1_OCTET_STRING* octets) {
  sockaddr_storage storage{};
  if (ASN1_STRING_length(octets) == 4) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, ASN1_STRING_get0_data(octets), 4);
  } else if (ASN1_STRING_length(octets) == 16) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    std::memcpy(&v6.sin6_addr, ASN1_STRING_get0_data(octets), 16);
  }
  const auto address = Address::from_sockaddr(reinterpret_cast<const sockaddr*>(&storage));
  return address ? address->ip() : "";
}

std::vector<SubjectAltName> names_of(const X509& certificate) {
  std::vector<SubjectAltName> out;
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr)));
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  for (int i = 0; i < count; ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    switch (name->type) {
      case GEN_DNS: out.push_back({SubjectAltName::Kind::dns, text_of(name->d.dNSName)}); break;
      case GEN_URI: out.push_back({SubjectAltName::Kind::uri, text_of(name->d.uniformResourceIdentifier)}); break;
      case GEN_IPADD: out.push_back({SubjectAltName::Kind::ip, ip_of(name->d.iPAddress)}); break;
      default: break;
    }
  }
  return out;
}

}  // namespace

std::vector<CertificateInfo> describe_certificates(std::string_view pem) {
  std::vector<CertificateInfo> out;
  if (pem.empty() || pem.size() > INT_MAX) return out;
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (bio != nullptr && out.size() < kCertificatesDescribedMax) {
    const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    out.push_back({.serial_number = serial_of(*certificate),
                   .subject_alt_names = names_of(*certificate),
                   .not_before = unix_seconds(X509_get0_notBefore(certificate.get())),
                   .not_after = unix_seconds(X509_get0_notAfter(certificate.get()))});
  }
  ERR_clear_error();  // the end of the text is an error to the library
  return out;
}

}  // namespace pillion::net
