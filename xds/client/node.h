// Who this proxy says it is on an ADS stream (envoy.config.core.v3.Node).
#pragma once

#include <string>
#include <string_view>

namespace pillion::xds::client {

struct NodeOptions {
  std::string id;
  std::string cluster;
  std::string pod_ip;  // metadata POD_IP; empty where it is not known
};

// Serialized, with our name and version as user agent.
std::string make_node(const NodeOptions& options);
// A bootstrap's node (serialized) with our user agent.
std::string with_user_agent(std::string_view node);
// A serialized node as JSON in proto's names, for people; "{}" where the bytes are none.
std::string node_as_json(std::string_view node);

}  // namespace pillion::xds::client
