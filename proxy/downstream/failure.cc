// Why a request failed: as Envoy's letters for machines, as a sentence for people.
#include <cstring>
#include <string>

#include "proxy/downstream/format_values.h"

namespace pillion::downstream {
namespace {

struct FlagName {
  std::string_view letters;
  std::string_view name;
};

// The order in which several are told.
constexpr FlagName kFlags[] = {
    {"UH", "NoHealthyUpstream"},
    {"UT", "UpstreamRequestTimeout"},
    {"LR", "LocalReset"},
    {"UR", "UpstreamRemoteReset"},
    {"UF", "UpstreamConnectionFailure"},
    {"UC", "UpstreamConnectionTermination"},
    {"UO", "UpstreamOverflow"},
    {"NR", "NoRouteFound"},
    {"DI", "DelayInjected"},
    {"FI", "FaultInjected"},
    {"RL", "RateLimited"},
    {"DC", "DownstreamConnectionTermination"},
    {"URX", "UpstreamRetryLimitExceeded"},
    {"SI", "StreamIdleTimeout"},
    {"DPE", "DownstreamProtocolError"},
    {"UPE", "UpstreamProtocolError"},
    {"NC", "NoClusterFound"},
};

std::string_view letters_of(const Error& why) {
  switch (why.code) {
    case Code::bad_message:
    case Code::head_too_large:
    case Code::body_length_mismatch:
    case Code::unsupported:
    case Code::flow_control_error:
    case Code::flood: return why.side == Side::downstream ? "DPE" : "UPE";
    case Code::request_timeout: return why.side == Side::downstream ? "" : "UT";
    case Code::max_duration:
    case Code::denied: return "";
    default: return info(why.code).flag;
  }
}

std::string name_of_errno(int error) {
  const char* name = strerrorname_np(error < 0 ? -error : error);
  return name != nullptr ? name : std::to_string(error);
}

// "endpoint 10.0.0.3:80 refused the connection (ECONNREFUSED)"
std::string what_happened(const filter::ExchangeRecord& record) {
  const Error& why = record.failure;
  std::string out;
  const bool at_endpoint = !record.upstream_address.is_none() && why.side != Side::downstream &&
                           why.code != Code::no_healthy_upstream && why.code != Code::overflow;
  if (at_endpoint) out += "endpoint " + record.upstream_address.to_string() + ": ";
  out += info(why.code).sentence;
  if (why.os != 0) out += " (" + name_of_errno(why.os) + ")";
  if (!record.failure_detail.empty()) {
    out += ": " + record.failure_detail;
  } else if (why.what != nullptr && why.what[0] != '\0') {
    out += std::string(": ") + why.what;
  }
  return out;
}

}  // namespace

uint32_t flag_bit(std::string_view letters) {
  for (size_t i = 0; i < std::size(kFlags); ++i) {
    if (kFlags[i].letters == letters) return 1u << i;
  }
  return 0;
}

uint32_t response_flags(const filter::ExchangeRecord& record) {
  uint32_t flags = flag_bit(letters_of(record.failure));
  if (record.retry_limit_exceeded) flags |= flag_bit("URX");
  if (record.delay_injected) flags |= flag_bit("DI");
  return flags;
}

bool append_flags(uint32_t flags, bool long_names, std::string& out) {
  bool any = false;
  for (size_t i = 0; i < std::size(kFlags); ++i) {
    if ((flags & (1u << i)) == 0) continue;
    if (any) out += ',';
    any = true;
    out += long_names ? kFlags[i].name : kFlags[i].letters;
  }
  return any;
}

std::string failure_sentence(const filter::ExchangeRecord& record) {
  if (record.failure.code == Code::ok || record.failure.code == Code::direct_response) {
    return record.retry_limit_exceeded
               ? "cluster " + std::string(record.cluster) + ": the last of " + std::to_string(record.attempts_total) +
                     " attempts was answered with " + std::to_string(record.status)
               : "";
  }
  std::string out;
  if (!record.cluster.empty()) out += "cluster " + std::string(record.cluster) + ": ";
  out += what_happened(record);
  if (record.attempts_total > 1) out += ", after " + std::to_string(record.attempts_total) + " attempts";
  if (record.retry_limit_exceeded) out += "; the route allows no more retries";
  return out;
}

}  // namespace pillion::downstream
