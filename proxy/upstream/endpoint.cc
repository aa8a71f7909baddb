#include "proxy/upstream/endpoint.h"

namespace pillion::upstream {
namespace {

const config::Locality kNowhere;

}  // namespace

Endpoint::Endpoint(ClusterContext& context, std::shared_ptr<const config::Endpoint> config,
                   std::shared_ptr<const config::LocalityEndpoints> locality, std::shared_ptr<SharedEndpoint> shared)
    : target_(context, std::move(config), std::move(shared)), locality_(std::move(locality)) {}

Endpoint::~Endpoint() = default;

const config::Locality& Endpoint::locality() const {
  return locality_ == nullptr ? kNowhere : locality_->locality;
}

bool Endpoint::update(std::shared_ptr<const config::Endpoint> config,
                      std::shared_ptr<const config::LocalityEndpoints> locality) {
  if (!target_.set_config(std::move(config))) return false;
  locality_ = std::move(locality);
  return true;
}

Expected<Pool*> Endpoint::http_pool(config::Cluster::Protocol protocol, const ServerName& server_name) {
  if (server_name.empty() || target_.tls() == nullptr) {
    std::unique_ptr<Pool>& pool = pools_[static_cast<size_t>(protocol)];
    if (pool == nullptr) {
      pool = std::make_unique<Pool>(target_, protocol, ServerName());
      if (is_draining_) pool->drain();
    }
    return pool.get();
  }
  const auto key = std::make_pair(protocol, server_name);
  if (const auto found = named_pools_.find(key); found != named_pools_.end()) return found->second.get();
  if (named_pools_.size() >= kNamedPoolsMax) drop_empty_named();
  if (named_pools_.size() >= kNamedPoolsMax) {
    return std::unexpected(Error{Code::resource_limit, Side::local, Retry::never, 0,
                                 "connections to one endpoint are open for too many server names"});
  }
  auto pool = std::make_unique<Pool>(target_, protocol, server_name);
  if (is_draining_) pool->drain();
  return (named_pools_[key] = std::move(pool)).get();
}

void Endpoint::drop_empty_named() {
  std::erase_if(named_pools_, [](const auto& entry) { return entry.second->is_empty(); });
}

void Endpoint::drain_pools() {
  is_draining_ = true;
  for (const std::unique_ptr<Pool>& pool : pools_) {
    if (pool != nullptr) pool->drain();
  }
  for (const auto& [key, pool] : named_pools_) pool->drain();
}

void Endpoint::close_pools() {
  for (const std::unique_ptr<Pool>& pool : pools_) {
    if (pool != nullptr) pool->close();
  }
  for (const auto& [key, pool] : named_pools_) pool->close();
}

bool Endpoint::is_empty() const {
  for (const std::unique_ptr<Pool>& pool : pools_) {
    if (pool != nullptr && !pool->is_empty()) return false;
  }
  for (const auto& [key, pool] : named_pools_) {
    if (!pool->is_empty()) return false;
  }
  return true;
}

}  // namespace pillion::upstream
