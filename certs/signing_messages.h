// The two messages by which certificates are asked for: istio.v1.auth.IstioCertificateService/CreateCertificate, which
// agents of other meshes speak too. Written by hand, so that certs/ needs no generated code:
//
//   IstioCertificateRequest  { string csr = 1; int64 validity_duration = 3; ... }   seconds; 0: the authority decides
//   IstioCertificateResponse { repeated string cert_chain = 1; }                    leaf, intermediates, roots
//
// The last element of the chain is the trust bundle, which holds several roots while a root is being rotated.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "certs/result.h"

namespace pillion::certs {

constexpr std::string_view kCreateCertificatePath = "/istio.v1.auth.IstioCertificateService/CreateCertificate";
constexpr size_t kMaxSigningMessageBytes = size_t{1} << 20;

struct SigningRequest {
  std::string csr;               // PEM
  int64_t lifetime_seconds = 0;  // 0: not asked for
};
std::string encode(const SigningRequest& request);
Result<SigningRequest> decode_signing_request(std::string_view bytes);

struct SigningResponse {
  std::string chain;         // PEM: leaf, then intermediates
  std::string trust_bundle;  // PEM
};
std::string encode(const SigningResponse& response);
// An error also where there are fewer than two elements.
Result<SigningResponse> decode_signing_response(std::string_view bytes);

}  // namespace pillion::certs
