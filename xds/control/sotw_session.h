// State-of-the-world xDS: each request lists all names; a response of listeners or clusters holds all of them, one of
// routes or endpoints holds those that changed.
#pragma once

#include "xds/control/ads_session.h"

namespace pillion::xds::control {

class SotwSession final : public AdsSession {
 public:
  explicit SotwSession(Options options) : AdsSession(options) {}
  std::expected<void, SessionError> on_message(std::string_view bytes) override;
  std::expected<void, SessionError> on_request(const envoy::service::discovery::v3::DiscoveryRequest& request);

 protected:
  Batch collect(Subscription& s, bool removals) override;
  std::string encode(Subscription& s, const Batch& batch, const std::string& nonce) override;

 private:
  std::expected<void, SessionError> set_names(Subscription& s,
                                              const envoy::service::discovery::v3::DiscoveryRequest& request);
  Batch collect_full(Subscription& s, bool removals) const;
  Batch collect_changed(Subscription& s) const;
  ResourceMap wanted(const Subscription& s) const;
  static std::string version_of(const ResourceMap& resources);

  // The version that a client brought from an earlier stream, by type. A response's version is the hash of everything
  // the client is subscribed to, so it says whether the client has all of that in its present state. It is looked at
  // when the resources are known, which may be later than the request.
  std::map<std::string, std::string> claimed_;
};

}  // namespace pillion::xds::control
