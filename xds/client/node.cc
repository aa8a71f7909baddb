#include "xds/client/node.h"

#include <envoy/config/core/v3/base.pb.h>

#include "proxy/base/version.h"

namespace pillion::xds::client {
namespace {

using envoy::config::core::v3::Node;

std::string finish(Node& node) {
  node.set_user_agent_name("pillion");
  node.set_user_agent_version(kVersion);
  return node.SerializeAsString();
}

}  // namespace

std::string make_node(const NodeOptions& options) {
  Node node;
  node.set_id(options.id);
  node.set_cluster(options.cluster);
  if (!options.pod_ip.empty()) {
    (*node.mutable_metadata()->mutable_fields())["POD_IP"].set_string_value(options.pod_ip);
  }
  return finish(node);
}

std::string with_user_agent(std::string_view node) {
  Node out;
  out.ParseFromArray(node.data(), static_cast<int>(node.size()));
  return finish(out);
}

}  // namespace pillion::xds::client
