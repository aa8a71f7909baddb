// How a workload's connections to the control plane are secured: its own certificate of now, and on the other side the
// control plane's identity under the roots of now.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "certs/spiffe.h"
#include "certs/store.h"
#include "proxy/rpc/direct_channel.h"

namespace pillion::certs {

// The control plane is the one workload with this path: spiffe://TRUST-DOMAIN/ns/pillion-system/sa/pillion-control.
constexpr std::string_view kControlPlanePath = "/ns/pillion-system/sa/pillion-control";

// For the ADS channel of a proxy and for renewals. A new connection uses the store's identity of that moment; while the
// store is empty there is no context and calls fail. The store must outlive it.
class ControlPlaneTls final : public rpc::ClientTlsSource {
 public:
  explicit ControlPlaneTls(const Store& store) : store_(store) {}

  std::shared_ptr<const net::ClientTlsContext> context() override;
  bool accept_peer(const net::Transport&) override { return true; }  // the context has judged it

 private:
  const Store& store_;
  std::shared_ptr<const net::ClientTlsContext> made_;
  uint64_t made_of_version_ = 0;
};

// First contact: a connection to a control plane of which only the root's fingerprint is known, from a join token. The
// peer must show that root and be the control plane under it; no certificate of our own is shown.
class FirstContactTls final : public rpc::ClientTlsSource {
 public:
  FirstContactTls(std::string root_fingerprint, std::string trust_domain)
      : root_fingerprint_(std::move(root_fingerprint)), trust_domain_(std::move(trust_domain)) {}

  std::shared_ptr<const net::ClientTlsContext> context() override;
  bool accept_peer(const net::Transport& transport) override;

  const std::string& root_pem() const { return root_pem_; }  // of the last peer that was accepted; empty before
  const std::string& refusal() const { return refusal_; }    // why the last peer was not; empty otherwise

 private:
  std::string root_fingerprint_;
  std::string trust_domain_;
  std::shared_ptr<const net::ClientTlsContext> made_;
  std::string root_pem_;
  std::string refusal_;
};

}  // namespace pillion::certs
