#include "proxy/base/error.h"

#include <cstring>

#include "proxy/base/check.h"

namespace pillion {
namespace {

// In the order of the enum; the test walks it to see that no row is missing. gRPC numbers: 4 deadline, 7 denied,
// 8 exhausted, 12 unimplemented, 13 internal, 14 unavailable.
constexpr CodeInfo kTable[] = {
    {"ok", "", 200, 0, "nothing went wrong"},
    {"connect_failed", "UF", 503, 14, "the connection to the endpoint could not be made"},
    {"connect_timeout", "UF", 503, 14, "the endpoint did not accept the connection in time"},
    {"peer_closed", "UC", 503, 14, "the peer closed the connection before it had answered"},
    {"peer_reset", "UC", 503, 14, "the peer reset the connection"},
    {"tls_failed", "UF", 503, 14, "the TLS handshake or the check of the peer's identity failed"},
    {"idle_timeout", "SI", 408, 4, "nothing moved for longer than the idle timeout"},
    {"resource_limit", "LR", 503, 8, "a limit of the proxy was reached"},
    {"draining", "LR", 503, 14, "the proxy is draining"},
    {"local_close", "LR", 503, 14, "the proxy closed the connection"},
    {"bad_message", "DPE", 400, 13, "the message breaks the protocol"},
    {"head_too_large", "DPE", 431, 8, "the head of the message is larger than the limit"},
    {"body_length_mismatch", "DPE", 400, 13, "the body is not as long as its head said"},
    {"unsupported", "DPE", 501, 12, "the request asks for something that is not spoken here"},
    {"stream_reset", "UR", 503, 14, "the peer reset the stream"},
    {"refused_stream", "UR", 503, 14, "the peer refused the stream without processing it"},
    {"flow_control_error", "UPE", 502, 13, "the peer sent more than its window"},
    {"flood", "DPE", 400, 13, "the peer sent more control frames than the limit"},
    {"no_route", "NR", 404, 12, "no route matches the request"},
    {"no_cluster", "NC", 503, 14, "the route names a cluster that does not exist"},
    {"no_healthy_upstream", "UH", 503, 14, "the cluster has no healthy endpoint"},
    {"overflow", "UO", 503, 14, "a circuit breaker of the cluster is open"},
    {"request_timeout", "UT", 504, 4, "the request took longer than the route's timeout"},
    {"per_try_timeout", "UT", 504, 4, "the last try took longer than its timeout"},
    {"stream_idle_timeout", "SI", 408, 4, "the stream was idle for longer than its timeout"},
    {"max_duration", "UMSDR", 408, 4, "the stream reached its maximum duration"},
    {"retry_limit", "URX", 503, 14, "all retries were used up"},
    {"upstream_reset_before_response", "UC", 503, 14, "the endpoint ended the connection before a response began"},
    {"upstream_reset_after_response", "UC", 503, 14, "the endpoint ended the connection in the middle of its response"},
    {"upgrade_refused", "UPE", 502, 14, "the endpoint did not accept the upgrade"},
    {"denied", "UAEX", 403, 7, "a policy denied the request"},
    {"rate_limited", "RL", 429, 14, "a rate limit was reached"},
    {"fault_injected", "FI", 503, 14, "a fault was injected on purpose"},
    {"direct_response", "", 200, 0, "the route answers by itself"},
    {"downstream_gone", "DC", 0, 1, "the client went away before it was answered"},
    {"internal", "", 500, 13, "an error inside the proxy"},
};
static_assert(sizeof(kTable) / sizeof(kTable[0]) == static_cast<size_t>(Code::kCount));

constexpr const char* kSideNames[] = {"local", "downstream", "upstream"};

}  // namespace

const CodeInfo& info(Code code) {
  PILLION_CHECK(code < Code::kCount);
  return kTable[static_cast<size_t>(code)];
}

std::string to_string(const Error& error) {
  std::string out = info(error.code).name;
  out += " (";
  out += kSideNames[static_cast<size_t>(error.side)];
  if (error.os != 0) {
    out += ", ";
    const char* name = strerrorname_np(error.os < 0 ? -error.os : error.os);
    out += name != nullptr ? name : "unknown errno";
  }
  out += ")";
  if (error.what != nullptr && error.what[0] != '\0') out += std::string(": ") + error.what;
  return out;
}

}  // namespace pillion
