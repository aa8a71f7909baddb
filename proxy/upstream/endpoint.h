// A worker's half of one endpoint of a cluster: its pools. The other half, health and counts, is SharedEndpoint.
#pragma once

#include <array>
#include <map>
#include <memory>

#include "proxy/base/weak.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/target.h"

namespace pillion::upstream {

class Endpoint : public WeakTarget<Endpoint> {
 public:
  // Pools per endpoint that exist because requests asked for other server names; a client could ask for any number.
  static constexpr size_t kNamedPoolsMax = 64;

  // `locality` owns `config`, or is null (endpoints made on demand).
  Endpoint(ClusterContext& context, std::shared_ptr<const config::Endpoint> config,
           std::shared_ptr<const config::LocalityEndpoints> locality, std::shared_ptr<SharedEndpoint> shared);
  ~Endpoint();

  ClusterContext& context() const { return target_.context(); }
  const DialTarget& target() const { return target_; }
  const config::Endpoint& config() const { return target_.config(); }
  const config::Locality& locality() const;
  const config::LocalityEndpoints* locality_endpoints() const { return locality_.get(); }
  uint32_t priority() const { return locality_ == nullptr ? 0 : locality_->priority; }
  uint32_t weight() const { return target_.config().weight; }
  const Address& address() const { return target_.address(); }
  SharedEndpoint& shared() const { return target_.shared(); }
  const std::shared_ptr<SharedEndpoint>& shared_pointer() const { return target_.shared_pointer(); }
  // The same address with other weight, health or locality. False: it has to be replaced by a new endpoint.
  bool update(std::shared_ptr<const config::Endpoint> config,
              std::shared_ptr<const config::LocalityEndpoints> locality);

  bool is_ejected(Instant now) const { return shared().is_ejected(now); }
  // By health_status of EDS alone: unhealthy, draining and timeout are neither.
  bool is_config_healthy() const {
    return config().health == config::HealthStatus::unknown || config().health == config::HealthStatus::healthy;
  }
  bool is_config_degraded() const { return config().health == config::HealthStatus::degraded; }

  // Made on first use; `protocol` is not `downstream`. Errors: resource_limit.
  Expected<Pool*> http_pool(config::Cluster::Protocol protocol, const ServerName& server_name = {});
  void drain_pools();  // the endpoint left the cluster: finish what runs, then close
  void close_pools();  // now: what runs is reset
  bool is_empty() const;

 private:
  void drop_empty_named();

  DialTarget target_;
  std::shared_ptr<const config::LocalityEndpoints> locality_;
  std::array<std::unique_ptr<Pool>, 3> pools_;  // http1, http2, automatic
  std::map<std::pair<config::Cluster::Protocol, ServerName>, std::unique_ptr<Pool>> named_pools_;
  bool is_draining_ = false;
};

}  // namespace pillion::upstream
