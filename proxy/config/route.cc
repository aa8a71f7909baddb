#include "proxy/config/route.h"

#include <algorithm>
#include <array>

namespace pillion::config {
namespace {

struct RetryName {
  std::string_view name;
  RetryOn bit;
};
constexpr std::array<RetryName, 15> kRetryNames = {{
    {"5xx", RetryOn::server_error},
    {"gateway-error", RetryOn::gateway_error},
    {"reset", RetryOn::reset},
    {"connect-failure", RetryOn::connect_failure},
    {"refused-stream", RetryOn::refused_stream},
    {"retriable-4xx", RetryOn::retriable_4xx},
    {"retriable-status-codes", RetryOn::retriable_status_codes},
    {"retriable-headers", RetryOn::retriable_headers},
    {"reset-before-request", RetryOn::reset_before_request},
    {"envoy-ratelimited", RetryOn::envoy_ratelimited},
    {"cancelled", RetryOn::grpc_cancelled},
    {"deadline-exceeded", RetryOn::grpc_deadline_exceeded},
    {"internal", RetryOn::grpc_internal},
    {"resource-exhausted", RetryOn::grpc_resource_exhausted},
    {"unavailable", RetryOn::grpc_unavailable},
}};

std::string_view trim(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// Of the last colon, unless the colons are those of an IPv6 address.
std::string_view without_port(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos) return authority;
  const bool bracketed = authority.starts_with('[');
  if (bracketed ? authority[colon - 1] != ']' : authority.find(':') != colon) return authority;
  return authority.substr(0, colon);
}

// The lower-case form of a host, on the stack where it fits.
class LowerCase {
 public:
  explicit LowerCase(std::string_view s) {
    char* out = buffer_.data();
    if (s.size() > buffer_.size()) {
      long_.resize(s.size());
      out = long_.data();
    }
    std::ranges::transform(s, out, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    view_ = {out, s.size()};
  }
  LowerCase(const LowerCase&) = delete;
  LowerCase& operator=(const LowerCase&) = delete;
  std::string_view view() const { return view_; }

 private:
  std::array<char, 256> buffer_;
  std::string long_;
  std::string_view view_;
};

}  // namespace

uint32_t parse_retry_on(std::string_view list, std::vector<std::string>* unknown) {
  uint32_t bits = 0;
  while (!list.empty()) {
    const std::string_view element = list.substr(0, list.find(','));
    list.remove_prefix(std::min(element.size() + 1, list.size()));
    const std::string_view name = trim(element);
    if (name.empty()) continue;
    const auto* known = std::ranges::find(kRetryNames, name, &RetryName::name);
    if (known != kRetryNames.end()) {
      bits |= static_cast<uint32_t>(known->bit);
    } else if (unknown != nullptr) {
      unknown->emplace_back(name);
    }
  }
  return bits;
}

void RouteConfiguration::build_index() {
  exact_.clear();
  suffix_.clear();
  prefix_.clear();
  default_ = -1;
  for (uint32_t i = 0; i < virtual_hosts.size(); ++i) {
    for (const std::string& domain : virtual_hosts[i].domains) {
      if (domain == "*") {
        if (default_ < 0) default_ = static_cast<int32_t>(i);
      } else if (domain.starts_with('*')) {
        suffix_[domain.size() - 1].try_emplace(domain.substr(1), i);
      } else if (domain.ends_with('*')) {
        prefix_[domain.size() - 1].try_emplace(domain.substr(0, domain.size() - 1), i);
      } else {
        exact_.try_emplace(domain, i);
      }
    }
  }
}

const VirtualHost* RouteConfiguration::find(std::string_view authority) const {
  const VirtualHost* const by_default = default_ < 0 ? nullptr : &virtual_hosts[static_cast<size_t>(default_)];
  if (exact_.empty() && suffix_.empty() && prefix_.empty()) return by_default;
  const LowerCase lower(ignore_port_in_host ? without_port(authority) : authority);
  const std::string_view host = lower.view();
  if (const auto found = exact_.find(host); found != exact_.end()) return &virtual_hosts[found->second];
  // The '*' stands for at least one character, hence only what is shorter than the host is looked up.
  for (auto it = suffix_.lower_bound(host.size()); it != suffix_.end(); ++it) {
    if (it->first == host.size()) continue;
    const auto found = it->second.find(host.substr(host.size() - it->first));
    if (found != it->second.end()) return &virtual_hosts[found->second];
  }
  for (auto it = prefix_.lower_bound(host.size()); it != prefix_.end(); ++it) {
    if (it->first == host.size()) continue;
    const auto found = it->second.find(host.substr(0, it->first));
    if (found != it->second.end()) return &virtual_hosts[found->second];
  }
  return by_default;
}

}  // namespace pillion::config
