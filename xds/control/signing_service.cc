#include "xds/control/signing_service.h"

#include <optional>

#include "certs/csr.h"
#include "certs/signing_messages.h"
#include "proxy/base/log.h"

namespace pillion::xds::control {

namespace {

constexpr int kInvalidArgument = 3;  // google.rpc.Code
constexpr int kInternal = 13;
constexpr int kUnauthenticated = 16;

// One unary call.
class SigningCall final : public rpc::GrpcHandler {
 public:
  SigningCall(SigningService& service, std::string bearer, rpc::GrpcResponder& responder)
      : service_(service), bearer_(std::move(bearer)), responder_(&responder) {}
  ~SigningCall() override { wipe(bearer_); }

  void on_message(std::string_view message) override {
    if (request_ || responder_ == nullptr) return;
    request_ = std::string(message.substr(0, certs::kMaxSigningMessageBytes + 1));
  }

  void on_finished() override {
    if (responder_ == nullptr) return;
    const rpc::Peer& peer = responder_->peer();
    const std::string peer_id = peer.tls != nullptr ? peer.tls->peer_uri_san : std::string();
    const int64_t now = wall_now_us() / 1'000'000;
    SigningService::Answer answer = service_.sign(request_ ? *request_ : std::string(), bearer_, peer_id, now);
    if (answer.status.ok()) {
      responder_->send(answer.message);
    } else {
      PILLION_LOG(warning, "signing: {}: refused: {}", peer.address.to_string(), answer.status.message);
    }
    std::exchange(responder_, nullptr)->finish(answer.status);
  }

  void on_cancelled() override { responder_ = nullptr; }

 private:
  SigningService& service_;
  std::string bearer_;
  rpc::GrpcResponder* responder_;  // null once the call is over
  std::optional<std::string> request_;
};

}  // namespace

std::unique_ptr<rpc::GrpcHandler> SigningService::start(std::string_view path, const rpc::Metadata& metadata,
                                                        rpc::GrpcResponder& responder) {
  if (path != certs::kCreateCertificatePath) return nullptr;
  std::string bearer;
  for (const auto& [name, value] : metadata) {
    if (name == "authorization") bearer = value;
  }
  return std::make_unique<SigningCall>(*this, std::move(bearer), responder);
}

std::expected<certs::SpiffeId, rpc::GrpcStatus> SigningService::authorize(std::string_view bearer,
                                                                          std::string_view peer_id, int64_t now) {
  constexpr std::string_view kScheme = "Bearer ";
  const auto refuse = [](std::string reason) { return std::unexpected(rpc::GrpcStatus{kUnauthenticated, reason}); };
  std::optional<certs::SpiffeId> id;
  if (!bearer.empty()) {
    if (!bearer.starts_with(kScheme)) return refuse("authorization must be `Bearer` and a join token");
    auto token = tokens_.redeem(bearer.substr(kScheme.size()), now);
    if (!token) return refuse(token.error().reason);
    id = std::move(token->spiffe_id);
  } else if (!peer_id.empty()) {
    auto peer = certs::SpiffeId::parse(peer_id);
    if (!peer) return refuse("the client certificate's name is not usable: " + peer.error().reason);
    id = std::move(*peer);
  } else {
    return refuse("a join token or a client certificate is needed");
  }
  if (id->trust_domain() != trust_domain_) return refuse(id->to_string() + " is not of trust domain " + trust_domain_);
  return std::move(*id);
}

SigningService::Answer SigningService::sign(std::string_view request, std::string_view bearer, std::string_view peer_id,
                                            int64_t now) {
  const auto refuse = [](int code, std::string reason) { return Answer{{code, std::move(reason)}, {}}; };
  auto read = certs::decode_signing_request(request);
  if (!read) return refuse(kInvalidArgument, read.error().reason);
  // Before the token is spent: a request that cannot be signed must not cost it.
  if (auto key = certs::public_key_of_csr(read->csr); !key) return refuse(kInvalidArgument, key.error().reason);
  const int64_t lifetime = read->lifetime_seconds == 0 ? lifetime_seconds_ : read->lifetime_seconds;
  if (lifetime < certs::kMinLeafLifetimeSeconds) {
    return refuse(kInvalidArgument, "validity_duration must be 2 seconds at least");
  }
  auto id = authorize(bearer, peer_id, now);
  if (!id) return {std::move(id.error()), {}};
  auto issued = authority_.sign(read->csr, *id, lifetime, now);
  if (!issued) return refuse(kInternal, issued.error().reason);
  PILLION_LOG(info, "signing: {} by {}, valid until {}", id->to_string(), bearer.empty() ? "its certificate" : "token",
              format_rfc3339_ms(issued->not_after * 1'000'000));
  return {{}, certs::encode(certs::SigningResponse{std::move(issued->chain), authority_.bundle()})};
}

}  // namespace pillion::xds::control
