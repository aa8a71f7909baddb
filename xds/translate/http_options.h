// envoy.config.core.v3.Http1ProtocolOptions and Http2ProtocolOptions, as both sides have them.
#pragma once

#include "proxy/base/time.h"
#include "xds/translate/context.h"

namespace envoy::config::core::v3 {
class Http1ProtocolOptions;
class Http2ProtocolOptions;
}  // namespace envoy::config::core::v3

namespace pillion::xds {

struct Http2Settings {
  uint32_t& concurrent_streams_max;
  uint32_t& stream_window_bytes;
  uint32_t& connection_window_bytes;
  config::H2Limits& limits;
  Duration* keepalive_interval;  // null where there are none
  Duration* keepalive_timeout;
};

void set_http1_options(Context& cx, const envoy::config::core::v3::Http1ProtocolOptions& in, bool& trailers);
void set_http2_options(Context& cx, const envoy::config::core::v3::Http2ProtocolOptions& in, Http2Settings out);

}  // namespace pillion::xds
