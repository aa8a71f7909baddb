// What people want to know of certificates, read from PEM: for /certs and for warnings that one ends soon.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::net {

struct SubjectAltName {
  enum class Kind : uint8_t { dns, uri, ip };
  Kind kind = Kind::dns;
  std::string value;  // of an IP in its usual text form
};

struct CertificateInfo {
  std::string serial_number;  // lower-case hexadecimal, two digits a byte
  std::vector<SubjectAltName> subject_alt_names;
  int64_t not_before = 0;  // Unix seconds
  int64_t not_after = 0;
};

// The certificates of a PEM text in its order, at most kCertificatesDescribedMax. Other blocks are passed over; what
// cannot be read ends the list.
inline constexpr size_t kCertificatesDescribedMax = 1024;
std::vector<CertificateInfo> describe_certificates(std::string_view pem);

}  // namespace pillion::net
