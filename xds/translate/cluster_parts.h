// The parts of a cluster's translation; internal to cluster*.cc.
#pragma once

#include "proxy/config/cluster.h"
#include "xds/translate/context.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}

namespace pillion::xds {

// === cluster_lb.cc: who gets a request ===
void set_load_balancing(Context& cx, const envoy::config::cluster::v3::Cluster& in, config::Cluster& out);
void set_breakers(Context& cx, const envoy::config::cluster::v3::Cluster& in, config::Cluster& out);
void set_outlier(Context& cx, const envoy::config::cluster::v3::Cluster& in, config::Cluster& out);

// === cluster_protocol.cc: what is spoken to it ===
void set_protocol(Context& cx, const envoy::config::cluster::v3::Cluster& in, config::Cluster& out);

}  // namespace pillion::xds
