// The admin server of the control plane:
//
//   /ready      200 from the first configuration on, also while files are refused: what was good is served, and taking
//               the control plane out of service for a bad file would leave new workloads without any. The body says
//               what is refused.
//   /status     JSON: the revision in force, what is refused, every connected proxy with what it has and what it
//               rejected
//   /revisions  JSON: the revisions that are kept, newest first
#pragma once

#include <string>

#include "proxy/rpc/http_server.h"
#include "xds/control/ads_service.h"
#include "xds/control/desired_state.h"

namespace pillion::xds::control {

class Pages final : public rpc::HttpHandler {
 public:
  Pages(const DesiredState& state, const AdsService& ads) : state_(state), ads_(ads) {}
  rpc::HttpResponse handle(const rpc::HttpRequest& request) override;

 private:
  std::string ready() const;
  std::string status() const;
  std::string revisions() const;

  const DesiredState& state_;
  const AdsService& ads_;
};

}  // namespace pillion::xds::control
