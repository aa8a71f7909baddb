// istio.v1.auth.IstioCertificateService/CreateCertificate: a workload's CSR in, its certificate and the roots out. Who
// it may be is said by a join token in `authorization: Bearer TOKEN` (first contact), else by the client certificate
// that it shows (renewal of the same identity). Nothing in the request says it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "certs/authority.h"
#include "certs/join_token.h"
#include "certs/result.h"
#include "proxy/event/executor.h"
#include "proxy/rpc/grpc.h"

namespace pillion::xds::control {

class SigningService final : public rpc::GrpcService {
 public:
  // `lifetime_seconds`: of a certificate whose request asks for none; the authority's maximum bounds all.
  SigningService(certs::Authority& authority, certs::TokenIssuer& tokens, std::string trust_domain,
                 int64_t lifetime_seconds)
      : authority_(authority),
        tokens_(tokens),
        trust_domain_(std::move(trust_domain)),
        lifetime_seconds_(lifetime_seconds) {}

  std::unique_ptr<rpc::GrpcHandler> start(std::string_view path, const rpc::Metadata& metadata,
                                          rpc::GrpcResponder& responder) override;

  struct Answer {
    rpc::GrpcStatus status;
    std::string message;  // of status OK
  };
  // `bearer` is the value of the authorization header, `peer_id` the peer's verified SPIFFE ID; both may be empty.
  Answer sign(std::string_view request, std::string_view bearer, std::string_view peer_id, int64_t now);

 private:
  // The status' message is for the caller; it repeats nothing of a token but its id.
  std::expected<certs::SpiffeId, rpc::GrpcStatus> authorize(std::string_view bearer, std::string_view peer_id,
                                                            int64_t now);

  certs::Authority& authority_;
  certs::TokenIssuer& tokens_;
  std::string trust_domain_;
  int64_t lifetime_seconds_;
};

}  // namespace pillion::xds::control
