// What went wrong on the data plane, who did it, and whether the request may be sent again. An Error is a small plain
// value that travels with the event; one table (error.cc) says what each code means to a client, a log and a counter.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <type_traits>

namespace pillion {

enum class Code : uint8_t {
  ok,
  // --- transport ---
  connect_failed,  // refused, unreachable: no byte reached the peer
  connect_timeout,
  peer_closed,  // FIN where more was expected
  peer_reset,   // RST, EPIPE
  tls_failed,   // handshake or verification
  idle_timeout,
  resource_limit,  // a named limit of ours was reached
  draining,        // we are going away
  local_close,     // we closed it on purpose
  // --- HTTP codecs ---
  bad_message,     // violates the protocol
  head_too_large,  // 431 / 502
  body_length_mismatch,
  unsupported,     // valid, but not spoken here
  stream_reset,    // RST_STREAM by the peer, other than refused
  refused_stream,  // RST_STREAM(REFUSED_STREAM) or above GOAWAY's last id: not processed
  flow_control_error,
  flood,  // the peer crossed a named limit of control frames
  // --- routing and upstream ---
  no_route,
  no_cluster,  // the route names a cluster that does not exist
  no_healthy_upstream,
  overflow,         // circuit breaker
  request_timeout,  // the route's timeout
  per_try_timeout,
  stream_idle_timeout,
  max_duration,
  retry_limit,  // retries are exhausted; the last answer counts
  upstream_reset_before_response,
  upstream_reset_after_response,
  upgrade_refused,
  // --- policy ---
  denied,  // RBAC
  rate_limited,
  fault_injected,
  direct_response,
  downstream_gone,  // the client went away first
  internal,
  kCount
};

enum class Side : uint8_t { local, downstream, upstream };
enum class Retry : uint8_t { never, if_reused, safe };  // safe: no byte of the request reached the peer

struct Error {
  Code code = Code::ok;
  Side side = Side::local;
  Retry retry = Retry::never;
  int os = 0;             // errno, 0 where the system had no say
  const char* what = "";  // a literal; says what was being done
};
static_assert(std::is_trivially_copyable_v<Error> && sizeof(Error) <= 24);

// How a code shows itself outside. Flags are Envoy's letters (%RESPONSE_FLAGS%), empty where there is none.
struct CodeInfo {
  const char* name;      // snake_case, as in %RESPONSE_CODE_DETAILS% and counters
  const char* flag;      // "UF", "UC", …
  uint16_t http_status;  // of the local reply
  uint8_t grpc_status;   // of the local reply to a gRPC request
  const char* sentence;  // a plain sentence about what happened, without a full stop
};
const CodeInfo& info(Code code);

// "connect_failed (upstream, ECONNREFUSED): dialing the endpoint"
std::string to_string(const Error& error);

template <class T>
using Expected = std::expected<T, Error>;

}  // namespace pillion

#define PILLION_TRY(expr)                                                                     \
  do {                                                                                        \
    if (auto try_result_ = (expr); !try_result_) return std::unexpected(try_result_.error()); \
  } while (0)
