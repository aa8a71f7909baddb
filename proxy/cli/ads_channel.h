// The channel of a bootstrap's ADS cluster. One endpoint serves a stream; the next stream goes to the next endpoint, so
// that a control plane with several addresses is found whichever of them are up.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "proxy/config/cluster.h"
#include "proxy/event/executor.h"
#include "proxy/net/dialer.h"
#include "proxy/net/resolver.h"
#include "proxy/rpc/grpc.h"

namespace pillion::cli {

// Errors are sentences about the cluster: no endpoints, TLS that cannot be set up. All arguments outlive the channel.
std::expected<std::unique_ptr<rpc::Channel>, std::string> make_ads_channel(
    event::Executor& executor, net::Dialer& dialer, net::Resolver& resolver,
    std::shared_ptr<const config::Cluster> cluster);

}  // namespace pillion::cli
