// What the control plane gives to a sidecar, the proxy takes as a whole.
#include <envoy/config/cluster/v3/cluster.pb.h>
#include <envoy/config/endpoint/v3/endpoint.pb.h>
#include <envoy/config/listener/v3/listener.pb.h>
#include <envoy/config/route/v3/route.pb.h>

#include "tests/unit/xds_control/support.h"
#include "xds/translate/translate.h"

namespace pillion::xds::control {

namespace {

template <class Message, class Translate>
size_t accepted(const ResourceSet& set, std::string_view type, Translate translate) {
  size_t count = 0;
  for (const auto& [name, resource] : set.of(type)) {
    Message message;
    REQUIRE(message.ParseFromString(resource->body));
    const auto value = translate(message, TranslationOptions(), "");
    CAPTURE(name);
    CHECK_MESSAGE(value.has_value(), (value ? std::string() : value.error().to_string()));
    ++count;
  }
  return count;
}

}  // namespace

TEST_CASE("translate: every resource of the shop is one that the proxy takes") {
  DirectorySource source;
  const auto shop = source.apply(testing::shop_files());
  REQUIRE(shop.errors.empty());
  for (const char* account : {"client", "web", "orders", "nats"}) {
    CAPTURE(account);
    NodeClass node;
    node.service_account = {"shop", account};
    for (const auto& [ip, pod] : shop.model->pods_by_ip) {
      if (pod->service_account == account && node.ips.empty()) node.ips = {ip};
    }
    const auto set = translate(*shop.model, node, TranslateOptions());
    CHECK(accepted<envoy::config::listener::v3::Listener>(*set, kListenerType, translate_listener) > 0);
    CHECK(accepted<envoy::config::cluster::v3::Cluster>(*set, kClusterType, translate_cluster) > 0);
    accepted<envoy::config::route::v3::RouteConfiguration>(*set, kRouteType, translate_route_configuration);
    accepted<envoy::config::endpoint::v3::ClusterLoadAssignment>(*set, kEndpointType, translate_endpoints);
  }
}

}  // namespace pillion::xds::control
