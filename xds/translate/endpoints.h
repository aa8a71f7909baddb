// envoy.config.endpoint.v3.
#pragma once

#include <memory>

#include "proxy/config/cluster.h"
#include "xds/translate/context.h"

namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}
namespace google::protobuf {
class Struct;
}

namespace pillion::xds {

enum class Hosts : uint8_t { addresses, names };  // names: an address may be a name that is looked up

std::shared_ptr<config::EndpointAssignment> to_assignment(
    Context& cx, const envoy::config::endpoint::v3::ClusterLoadAssignment& assignment, Hosts hosts);

// The scalars of a Struct as texts; anything else is an error.
std::map<std::string, std::string> to_labels(Context& cx, const google::protobuf::Struct& fields);

}  // namespace pillion::xds
