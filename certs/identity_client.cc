#include "certs/identity_client.h"

#include <algorithm>

#include "certs/signing_messages.h"
#include "proxy/base/log.h"

namespace pillion::certs {
namespace {

constexpr int kPermissionDenied = 7;  // google.rpc.Code
constexpr int kUnauthenticated = 16;
constexpr Duration kLookInterval{60'000'000};  // a wall clock that was set is noticed after so long

int64_t now_seconds() {
  return wall_now_us() / 1'000'000;
}

}  // namespace

// === construction ===

Result<std::unique_ptr<IdentityClient>> IdentityClient::make(event::Executor& executor, net::Dialer& dialer,
                                                             net::Resolver& resolver, Store& store,
                                                             IdentityOptions options, IdentityEvents& events) {
  std::optional<JoinToken> token;
  if (!options.join_token.empty()) {
    auto read = read_join_token(options.join_token);
    if (!read) return failure_of(read);
    token = std::move(*read);
    if (options.control_plane.empty()) options.control_plane = token->address;
  }
  if (options.control_plane.empty()) return failure("the control plane's address is not known");
  std::optional<SpiffeId> id;
  if (store.current() != nullptr) {
    auto have = SpiffeId::parse(store.current()->spiffe_id);
    if (!have) return failure_of(have);
    if (token && token->spiffe_id != *have) {
      return failure("the join token is for " + token->spiffe_id.to_string() + ", the identity at hand is " +
                     have->to_string());
    }
    id = std::move(*have);
  } else if (token) {
    id = token->spiffe_id;
  } else {
    return failure("a join token is needed: there is no identity yet");
  }
  return std::unique_ptr<IdentityClient>(new IdentityClient(executor, dialer, resolver, store, std::move(options),
                                                            std::move(token), std::move(*id), events));
}

IdentityClient::IdentityClient(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver, Store& store,
                               IdentityOptions options, std::optional<JoinToken> token, SpiffeId id,
                               IdentityEvents& events)
    : executor_(executor),
      dialer_(dialer),
      resolver_(resolver),
      store_(store),
      options_(std::move(options)),
      token_(std::move(token)),
      id_(std::move(id)),
      events_(events),
      renewal_tls_(store) {
  if (token_) first_tls_.emplace(token_->root_fingerprint, std::string(id_.trust_domain()));
  schedule();
}

IdentityClient::~IdentityClient() {
  wipe(options_.join_token);
}

// === when ===

void IdentityClient::schedule() {
  const int64_t wait_us = store_.renewal(now_seconds()).next_attempt_at * 1'000'000 - wall_now_us();
  timer_.start_after(executor_.timers, std::clamp(Duration(wait_us), Duration(0), kLookInterval));
}

void IdentityClient::on_timer() {
  if (store_.renewal_due(now_seconds())) {
    ask();
  } else {
    schedule();
  }
}

// === asking ===

bool IdentityClient::can_renew(int64_t now) const {
  return store_.current() != nullptr && store_.current()->not_after > now;
}

void IdentityClient::ask() {
  by_token_ = !can_renew(now_seconds());
  if (by_token_ && !token_) return fail("the certificate has expired and there is no join token", true);
  auto request = make_key_and_csr(id_);
  if (!request) return fail(request.error().reason, false);
  request_.emplace(std::move(*request));
  answer_.reset();
  status_.reset();
  rpc::DirectChannelOptions channel;
  channel.target = options_.control_plane;
  channel.tls = by_token_ ? static_cast<rpc::ClientTlsSource*>(&*first_tls_) : &renewal_tls_;
  channel_ = rpc::make_direct_channel(executor_, dialer_, resolver_, channel);
  rpc::Metadata metadata;
  if (by_token_) metadata.emplace_back("authorization", "Bearer " + options_.join_token);
  call_ = channel_->call(kCreateCertificatePath, metadata, *this);
  call_->send(encode(SigningRequest{.csr = request_->csr, .lifetime_seconds = options_.lifetime_seconds}));
  call_->finish();
  attempt_timer_.start_after(executor_.timers, kAttemptTimeout);
}

// === the answer ===

void IdentityClient::on_message(std::string_view message) {
  if (!answer_ && message.size() <= kMaxSigningMessageBytes) answer_ = std::string(message);
}

void IdentityClient::on_status(const rpc::GrpcStatus& status) {
  status_ = status;
  executor_.ready(*this);
}

void IdentityClient::on_attempt_timeout() {
  if (!status_) on_status({.code = 4, .message = "the control plane did not answer in time"});
}

void IdentityClient::step() {
  attempt_timer_.stop();
  call_.reset();
  channel_.reset();
  conclude();
  request_.reset();
}

void IdentityClient::conclude() {
  if (!status_->ok()) {
    const bool refused = status_->code == kUnauthenticated || status_->code == kPermissionDenied;
    std::string reason = options_.control_plane + ": ";
    if (by_token_ && !first_tls_->refusal().empty()) {
      reason += "the server's certificate is refused: " + first_tls_->refusal();
    } else {
      reason += status_->message.empty() ? "gRPC status " + std::to_string(status_->code) : status_->message;
    }
    return fail(std::move(reason), by_token_ && refused);
  }
  auto response = decode_signing_response(answer_ ? *answer_ : std::string());
  if (!response) return fail(options_.control_plane + ": " + response.error().reason, false);
  if (auto taken = take(*response); !taken) return fail(options_.control_plane + ": " + taken.error().reason, false);
  schedule();
}

// At first contact only the pinned root has proven anything, so it must be among those that are to be trusted.
Result<void> IdentityClient::take(const SigningResponse& response) {
  auto roots = parse_certificates(response.trust_bundle, kMaxBundleCertificates);
  if (!roots) return failure("the roots are not usable: " + roots.error().reason);
  const bool pinned = !by_token_ || std::ranges::any_of(*roots, [this](const CertPtr& root) {
    return fingerprint(*root) == token_->root_fingerprint;
  });
  if (!pinned) return failure("the root that the join token names is not among the roots that were sent");
  auto chain = parse_certificates(response.chain);
  if (!chain) return failure("the certificate is not usable: " + chain.error().reason);
  auto id = spiffe_id_of(*chain->front());
  if (!id) return failure_of(id);
  if (*id != id_) return failure("the certificate is for " + id->to_string() + " and not for " + id_.to_string());
  return store_.install(response.chain, request_->private_key, response.trust_bundle, now_seconds());
}

void IdentityClient::fail(std::string reason, bool final) {
  store_.renewal_failed(reason, now_seconds());
  PILLION_LOG(warning, "identity {}: {}", id_.to_string(), reason);
  schedule();
  events_.on_identity_failed(reason, final);
}

}  // namespace pillion::certs
