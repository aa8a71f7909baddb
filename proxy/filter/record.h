// What is remembered of one exchange for the access log, the counters and the filters' last hook. Filled by the
// exchange as it goes; every failed try is in it, so that "503, but why?" has an answer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/base/address.h"
#include "proxy/base/error.h"
#include "proxy/base/time.h"
#include "proxy/http/message.h"
#include "proxy/net/transport.h"

namespace pillion::filter {

struct AttemptRecord {
  Address endpoint;  // none where no endpoint was picked
  Error error;       // Code::ok where a response came
  uint16_t status = 0;
  Duration took{};
};

struct ExchangeRecord {
  static constexpr size_t kAttemptsKept = 16;

  int64_t start_wall_us = 0;
  Instant start{};
  std::optional<Instant> request_end;          // last byte of the request received
  std::optional<Instant> upstream_first_byte;  // head of the response received
  std::optional<Instant> response_begin;       // head of the response sent
  Instant end{};

  const http::RequestHead* request = nullptr;    // as received from the client, after the connection manager's changes
  std::string_view original_path;                // before any rewrite
  const http::ResponseHead* response = nullptr;  // as sent
  const http::HeaderMap* response_trailers = nullptr;
  uint64_t request_body_bytes = 0;
  uint64_t response_body_bytes = 0;
  http::Version version = http::Version::http11;
  std::optional<http::Version> upstream_version;

  uint16_t status = 0;            // 0: nothing was sent
  Error failure;                  // Code::ok: none. Why the answer is ours, or why it broke off
  std::string_view details;       // %RESPONSE_CODE_DETAILS%, Envoy's words; a literal or in the exchange's arena
  std::string failure_detail;     // names and numbers: "max_requests 1024/1024 of cluster web"
  std::string transport_failure;  // of the upstream transport: "TLS: certificate has expired"
  std::vector<AttemptRecord> attempts;
  uint32_t attempts_total = 0;
  bool upgraded = false;
  bool is_tunnel = false;             // of a TCP proxy's connection: there is no request and no protocol
  bool retry_limit_exceeded = false;  // flag URX: the policy would have tried again
  bool delay_injected = false;        // flag DI: a filter delayed the request on purpose
  bool is_internal = false;           // the client is one of internal_address_config

  std::string_view route_name;
  std::string_view virtual_host;
  std::string_view cluster;
  std::string_view filter_chain;
  Address upstream_address;  // of the last attempt that had an endpoint
  Address upstream_local_address;
  Address downstream_remote;  // as the connection manager believes it (x-forwarded-for)
  Address downstream_direct_remote;
  Address downstream_local;
  const net::TlsInfo* downstream_tls = nullptr;
  std::string_view sni;
  uint64_t connection_id = 0;
  uint64_t stream_id = 0;
};

}  // namespace pillion::filter
