#include "proxy/upstream/dns.h"

#include <algorithm>

#include "proxy/base/log.h"

namespace pillion::upstream {
namespace {

net::DnsFamily family_of(config::Cluster::DnsFamily family) {
  switch (family) {
    case config::Cluster::DnsFamily::automatic: return net::DnsFamily::automatic;
    case config::Cluster::DnsFamily::v4_only: return net::DnsFamily::v4_only;
    case config::Cluster::DnsFamily::v6_only: return net::DnsFamily::v6_only;
    case config::Cluster::DnsFamily::v4_preferred: return net::DnsFamily::v4_preferred;
    case config::Cluster::DnsFamily::all: return net::DnsFamily::all;
  }
  return net::DnsFamily::automatic;
}

}  // namespace

// One endpoint of the configuration that is a name.
class Dns::Name final : public net::ResolveEvents {
 public:
  Name(Dns& dns, size_t locality, const config::Endpoint& config)
      : locality_(locality), config_(config), dns_(dns), timer_(event::Timer::bind<&Name::ask>(this)) {
    ask();
  }

  size_t locality() const { return locality_; }
  const config::Endpoint& config() const { return config_; }
  const std::vector<Address>& addresses() const { return addresses_; }

 private:
  void ask() {
    spent_.reset();
    resolution_ = dns_.resolver_.resolve(*config_.hostname, family_of(dns_.config_->dns_family), *this);
  }

  void on_resolved(const net::ResolveResult& result) override {
    std::vector<Address> now;
    for (Address a : result.addresses) {
      if (now.size() == kAddressesPerNameMax) break;
      a.set_port(config_.port);
      if (std::find(now.begin(), now.end(), a) == now.end()) now.push_back(a);
    }
    if (dns_.config_->type == config::Cluster::Type::logical_dns && !now.empty()) {
      const bool is_kept = !addresses_.empty() && std::find(now.begin(), now.end(), addresses_[0]) != now.end();
      now = {is_kept ? addresses_[0] : now[0]};
    }
    const bool changed =
        now.size() != addresses_.size() || !std::is_permutation(now.begin(), now.end(), addresses_.begin());
    if (changed) addresses_ = std::move(now);
    const bool use_ttl = dns_.config_->respect_dns_ttl && result.ttl.count() > 0;
    answered(use_ttl ? result.ttl : dns_.config_->dns_refresh, changed, false);
  }

  void on_resolve_failed(const Error& why) override {
    PILLION_LOG_LIMITED(warning, dns_.executor_.now(), "cluster {}: the name {} was not resolved, {}: {}",
                        dns_.config_->name, *config_.hostname,
                        addresses_.empty() ? "and no address is known" : "its last addresses stay", to_string(why));
    answered(dns_.config_->dns_refresh, false, true);
  }

  void answered(Duration next, bool changed, bool failed) {
    spent_ = std::move(resolution_);
    timer_.start_after(dns_.executor_.timers, std::max(next, kRefreshMin));
    dns_.on_answer(changed, failed, std::exchange(first_, false));
  }

  const size_t locality_;
  const config::Endpoint& config_;
  Dns& dns_;
  event::Timer timer_;
  std::unique_ptr<net::Resolution> resolution_;
  std::unique_ptr<net::Resolution> spent_;  // the last one, while its event is on the stack
  std::vector<Address> addresses_;
  bool first_ = true;
};

Dns::Dns(event::Executor& executor, net::Resolver& resolver, std::shared_ptr<const config::Cluster> config,
         AssignmentEvents& events)
    : executor_(executor), resolver_(resolver), config_(std::move(config)), events_(events) {
  if (config_->inline_endpoints == nullptr) return;
  const auto& localities = config_->inline_endpoints->localities;
  for (size_t l = 0; l < localities.size(); ++l) {
    for (const config::Endpoint& e : localities[l].endpoints) {
      if (!e.address.is_none()) continue;
      names_.push_back(std::make_unique<Name>(*this, l, e));
      ++unanswered_;
    }
  }
}

Dns::~Dns() = default;

void Dns::on_answer(bool changed, bool failed, bool first) {
  if (first) --unanswered_;
  if (failed) events_.on_dns_failure();
  if (changed || (!failed && has_answered() && !told_)) {
    told_ = told_ || has_answered();
    events_.on_assignment(assignment());
  }
  executor_.run_ready();
}

std::shared_ptr<const config::EndpointAssignment> Dns::assignment() const {
  const config::EndpointAssignment& from = *config_->inline_endpoints;
  auto out = std::make_shared<config::EndpointAssignment>();
  out->name = from.name;
  out->overprovisioning_percent = from.overprovisioning_percent;
  for (const config::LocalityEndpoints& l : from.localities) {
    config::LocalityEndpoints& copy = out->localities.emplace_back();
    copy.locality = l.locality;
    copy.weight = l.weight;
    copy.priority = l.priority;
    for (const config::Endpoint& e : l.endpoints) {
      if (!e.address.is_none()) copy.endpoints.push_back(e);
    }
  }
  for (const std::unique_ptr<Name>& name : names_) {
    for (const Address& a : name->addresses()) {
      config::Endpoint& e = out->localities[name->locality()].endpoints.emplace_back(name->config());
      e.address = a;
    }
  }
  return out;
}

}  // namespace pillion::upstream
