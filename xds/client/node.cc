#include "xds/client/node.h"

#include <envoy/config/core/v3/base.pb.h>
#include <google/protobuf/util/json_util.h>

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

std::string node_as_json(std::string_view node) {
  Node parsed;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string out;
  const bool printed = parsed.ParseFromArray(node.data(), static_cast<int>(node.size())) &&
                       google::protobuf::util::MessageToJsonString(parsed, &out, options).ok();
  return printed ? out : "{}";
}

}  // namespace pillion::xds::client
