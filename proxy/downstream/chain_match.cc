#include "proxy/downstream/chain_match.h"

#include <algorithm>
#include <vector>

namespace pillion::downstream {
namespace {

using config::FilterChain;
using config::FilterChainMatch;

constexpr int kUnfit = -1;   // the criterion names something else
constexpr int kUnnamed = 0;  // the criterion is not set: fits everything, least specifically

// Keeps the chains for which `rank` is highest; none where all are unfit.
template <class Rank>
void keep_best(std::vector<const FilterChain*>& chains, Rank rank) {
  int best = kUnfit;
  for (const FilterChain* chain : chains) best = std::max(best, rank(chain->match));
  std::erase_if(chains, [&](const FilterChain* chain) { return best == kUnfit || rank(chain->match) != best; });
}

int rank_prefixes(const std::vector<Cidr>& prefixes, const Address& address) {
  if (prefixes.empty()) return kUnnamed;
  int best = kUnfit;
  for (const Cidr& prefix : prefixes) {
    if (prefix.contains(address)) best = std::max(best, 1 + prefix.length);
  }
  return best;
}

// An exact name is better than any wildcard, a longer wildcard than a shorter one.
int rank_names(const std::vector<std::string>& names, std::string_view name) {
  if (names.empty()) return kUnnamed;
  int best = kUnfit;
  for (const std::string& wanted : names) {
    if (wanted == name && !name.empty()) return 1 << 20;
    if (wanted.starts_with("*.") && name.size() >= wanted.size() &&
        name.ends_with(std::string_view(wanted).substr(1))) {
      best = std::max(best, static_cast<int>(wanted.size()));
    }
  }
  return best;
}

// The protocol that the client named first counts most.
int rank_protocols(const std::vector<std::string>& wanted, std::span<const std::string_view> offered) {
  if (wanted.empty()) return kUnnamed;
  for (size_t i = 0; i < offered.size(); ++i) {
    if (std::find(wanted.begin(), wanted.end(), offered[i]) != wanted.end())
      return static_cast<int>(offered.size() - i);
  }
  return kUnfit;
}

int rank_source_type(FilterChainMatch::SourceType type, bool is_local) {
  switch (type) {
    case FilterChainMatch::SourceType::any: return kUnnamed;
    case FilterChainMatch::SourceType::same_ip_or_loopback: return is_local ? 1 : kUnfit;
    case FilterChainMatch::SourceType::external: return is_local ? kUnfit : 1;
  }
  return kUnfit;
}

}  // namespace

const FilterChain* match_chain(const config::Listener& listener, const ChainQuery& query) {
  std::vector<const FilterChain*> chains;
  chains.reserve(listener.chains.size());
  for (const FilterChain& chain : listener.chains) chains.push_back(&chain);
  const bool is_local = query.source.is_loopback() || query.source.same_ip(query.destination) || query.source.is_pipe();

  keep_best(chains, [&](const FilterChainMatch& m) {
    if (!m.destination_port) return kUnnamed;
    return *m.destination_port == query.destination.port() ? 1 : kUnfit;
  });
  keep_best(chains, [&](const FilterChainMatch& m) { return rank_prefixes(m.prefix_ranges, query.destination); });
  keep_best(chains, [&](const FilterChainMatch& m) { return rank_names(m.server_names, query.server_name); });
  keep_best(chains, [&](const FilterChainMatch& m) {
    if (m.transport_protocol.empty()) return kUnnamed;
    return m.transport_protocol == query.transport_protocol ? 1 : kUnfit;
  });
  keep_best(chains, [&](const FilterChainMatch& m) {
    return rank_protocols(m.application_protocols, query.application_protocols);
  });
  keep_best(chains, [&](const FilterChainMatch& m) {
    return rank_prefixes(m.direct_source_prefix_ranges, query.direct_source);
  });
  keep_best(chains, [&](const FilterChainMatch& m) { return rank_source_type(m.source_type, is_local); });
  keep_best(chains, [&](const FilterChainMatch& m) { return rank_prefixes(m.source_prefix_ranges, query.source); });
  keep_best(chains, [&](const FilterChainMatch& m) {
    if (m.source_ports.empty()) return kUnnamed;
    return std::find(m.source_ports.begin(), m.source_ports.end(), query.source.port()) != m.source_ports.end()
               ? 1
               : kUnfit;
  });
  if (!chains.empty()) return chains.front();
  return listener.default_chain ? &*listener.default_chain : nullptr;
}

}  // namespace pillion::downstream
