// Incremental xDS (delta): subscriptions change by name, and removals are told.
#pragma once

#include "xds/control/ads_session.h"

namespace pillion::xds::control {

class DeltaSession final : public AdsSession {
 public:
  explicit DeltaSession(Options options) : AdsSession(options) {}
  std::expected<void, SessionError> on_message(std::string_view bytes) override;
  std::expected<void, SessionError> on_request(const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);

 protected:
  Batch collect(Subscription& s, bool removals) override;
  std::string encode(Subscription& s, const Batch& batch, const std::string& nonce) override;

 private:
  static std::expected<void, SessionError> first_request(
      Subscription& s, const envoy::service::discovery::v3::DeltaDiscoveryRequest& request);
  static void unsubscribe(Subscription& s, const std::string& name);
  void collect_removed(const Subscription& s, bool removals, Batch& out) const;
};

}  // namespace pillion::xds::control
