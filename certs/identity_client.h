// Gets a workload's certificate from the control plane and renews it for as long as this lives. The key is made here,
// goes into the store with its certificate, and nowhere else.
//
//   make() ── the store has an identity ──► waiting ── due ──► asking ──► installed into the store ──► waiting
//      └───── the store is empty ─────────────────── due ───────┘ └── failed: the schedule says when to try again
//
// Asking: with the certificate of the store while it is valid, else with the join token, whose root's fingerprint the
// control plane must show first. Each request has a connection of its own, so that a renewal is judged by the
// certificate that is being renewed.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "certs/control_plane_tls.h"
#include "certs/csr.h"
#include "certs/join_token.h"
#include "certs/store.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"
#include "proxy/rpc/direct_channel.h"
#include "proxy/rpc/grpc.h"

namespace pillion::certs {

struct IdentityOptions {
  std::string join_token;        // may be empty where the store holds an identity
  std::string control_plane;     // HOST:PORT; empty: the token's
  int64_t lifetime_seconds = 0;  // to ask for; 0: the authority decides
};

class IdentityEvents {
 public:
  // An attempt has failed. `final`: asking again with the same token cannot help (refused, expired, used); it is tried
  // again all the same, slowly. Success is told by the store's subscriptions.
  virtual void on_identity_failed(std::string_view reason, bool final) = 0;

 protected:
  ~IdentityEvents() = default;
};

class IdentityClient final : public rpc::GrpcCallEvents, public event::Steppable {
 public:
  static constexpr Duration kAttemptTimeout{10'000'000};

  // Errors: a token that is none; neither token nor identity; no address. Everything given must outlive the client.
  // The first attempt is made from the loop, never from here.
  static Result<std::unique_ptr<IdentityClient>> make(event::Executor& executor, net::Dialer& dialer,
                                                      net::Resolver& resolver, Store& store, IdentityOptions options,
                                                      IdentityEvents& events);
  ~IdentityClient();

  const std::string& control_plane() const { return options_.control_plane; }  // HOST:PORT
  const SpiffeId& spiffe_id() const { return id_; }                            // who we are, or are going to be

 private:
  IdentityClient(event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver, Store& store,
                 IdentityOptions options, std::optional<JoinToken> token, SpiffeId id, IdentityEvents& events);

  void schedule();
  void on_timer();
  void ask();
  void on_message(std::string_view message) override;
  void on_status(const rpc::GrpcStatus& status) override;
  void on_attempt_timeout();
  void step() override;  // after an answer: the call is dropped and the next attempt planned, outside its events
  void conclude();
  Result<void> take(const struct SigningResponse& response);
  void fail(std::string reason, bool final);
  bool can_renew(int64_t now) const;

  event::Executor& executor_;
  net::Dialer& dialer_;
  net::Resolver& resolver_;
  Store& store_;
  IdentityOptions options_;
  std::optional<JoinToken> token_;
  SpiffeId id_;
  IdentityEvents& events_;

  ControlPlaneTls renewal_tls_;
  std::optional<FirstContactTls> first_tls_;
  event::Timer timer_{event::Timer::bind<&IdentityClient::on_timer>(this)};
  event::Timer attempt_timer_{event::Timer::bind<&IdentityClient::on_attempt_timeout>(this)};

  // Of the attempt under way.
  std::optional<KeyAndCsr> request_;
  bool by_token_ = false;
  std::unique_ptr<rpc::Channel> channel_;
  std::unique_ptr<rpc::GrpcCall> call_;
  std::optional<std::string> answer_;
  std::optional<rpc::GrpcStatus> status_;
};

}  // namespace pillion::certs
