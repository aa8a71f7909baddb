// An answer that the proxy makes itself. A plain value: what it refers to lives in the exchange's arena, in the pinned
// configuration, or is a literal.
#pragma once

#include <cstdint>
#include <string_view>

namespace pillion::filter {

struct LocalReply {
  uint16_t status = 500;
  std::string_view body;
  std::string_view details;   // %RESPONSE_CODE_DETAILS%, Envoy's words
  std::string_view location;  // of a redirect
  int grpc_status = -1;       // to a gRPC request; -1: by the HTTP status
  bool overloaded = false;    // x-envoy-overloaded: true
  bool ends_connection = false;
};

}  // namespace pillion::filter
