#include "certs/server_identity.h"

#include <algorithm>

#include "proxy/base/log.h"
#include "proxy/net/tls.h"

namespace pillion::certs {
namespace {

constexpr Duration kLookInterval{60'000'000};  // a wall clock that was set is noticed after so long

int64_t now_seconds() {
  return wall_now_us() / 1'000'000;
}

}  // namespace

ServerIdentity::ServerIdentity(event::Executor& executor, BuiltinAuthority& authority, SpiffeId id,
                               std::vector<std::string> hosts, int64_t lifetime_seconds)
    : executor_(executor),
      authority_(authority),
      id_(std::move(id)),
      hosts_(std::move(hosts)),
      lifetime_seconds_(lifetime_seconds),
      store_(executor.random) {}

Result<std::unique_ptr<ServerIdentity>> ServerIdentity::make(event::Executor& executor, BuiltinAuthority& authority,
                                                             SpiffeId id, std::vector<std::string> hosts,
                                                             int64_t lifetime_seconds) {
  auto out = std::unique_ptr<ServerIdentity>(
      new ServerIdentity(executor, authority, std::move(id), std::move(hosts), lifetime_seconds));
  if (auto done = out->renew(now_seconds()); !done) return failure_of(done);
  out->schedule();
  return out;
}

Result<void> ServerIdentity::renew(int64_t now) {
  auto own = issue_own_identity(authority_, id_, lifetime_seconds_, now, hosts_);
  if (!own) return failure_of(own);
  auto installed = store_.install(own->cert_chain, own->private_key, own->trust_bundle, now);
  return installed ? make_context() : installed;
}

Result<void> ServerIdentity::make_context() {
  auto shown = std::make_shared<TlsMaterial>(*store_.current());
  shown->cert_chain += authority_.root_pem();
  config::TlsContext config;
  config.alpn = {"h2"};
  config.certificates.push_back({.material = shown});
  config.has_validation = true;
  config.require_client_certificate = false;
  config.validation.trust.material = shown;
  config.validation.sans.push_back(
      {config::SanMatcher::Type::uri,
       {.kind = config::StringMatcher::Kind::prefix, .text = "spiffe://" + std::string(id_.trust_domain()) + "/"}});
  auto made = net::make_server_context(config, {.certificates = {shown}, .trust = shown});
  if (!made) return failure(made.error());
  context_ = std::move(*made);
  return {};
}

void ServerIdentity::schedule() {
  const int64_t wait_us = store_.renewal(now_seconds()).next_attempt_at * 1'000'000 - wall_now_us();
  timer_.start_after(executor_.timers, std::clamp(Duration(wait_us), Duration(0), kLookInterval));
}

void ServerIdentity::on_timer() {
  const int64_t now = now_seconds();
  if (store_.renewal_due(now)) {
    if (auto done = renew(now); !done) {
      PILLION_LOG(error, "control plane: its own certificate is not renewed: {}", done.error().reason);
      store_.renewal_failed(done.error().reason, now);
    }
  }
  schedule();
}

}  // namespace pillion::certs
