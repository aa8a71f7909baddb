#include "xds/translate/http_options.h"

#include <envoy/config/core/v3/protocol.pb.h>

#include "xds/translate/values.h"

namespace pillion::xds {

namespace core = envoy::config::core::v3;

namespace {

constexpr std::string_view kPreserveCase =
    "envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig";

}  // namespace

void set_http1_options(Context& cx, const core::Http1ProtocolOptions& in, bool& trailers) {
  trailers = in.enable_trailers();
  cx.unsupported_if(in.has_allow_absolute_url() && !in.allow_absolute_url().value(), "allow_absolute_url");
  cx.unsupported_if(in.override_stream_error_on_invalid_http_message().value(),
                    "override_stream_error_on_invalid_http_message");
  if (!in.has_header_key_format() || !in.header_key_format().has_stateful_formatter()) return;
  const auto at = cx.field("header_key_format");
  const auto in_formatter = cx.field("stateful_formatter");
  const auto in_config = cx.field("typed_config");
  const std::string type = content_type(in.header_key_format().stateful_formatter().typed_config());
  if (type != kPreserveCase) cx.fail("only " + std::string(kPreserveCase) + " is supported by Pillion here");
}

void set_http2_options(Context& cx, const core::Http2ProtocolOptions& in, Http2Settings out) {
  PILLION_SET_WRAPPER(in, max_concurrent_streams, out.concurrent_streams_max);
  PILLION_SET_WRAPPER(in, initial_stream_window_size, out.stream_window_bytes);
  PILLION_SET_WRAPPER(in, initial_connection_window_size, out.connection_window_bytes);
  PILLION_SET_WRAPPER(in, max_outbound_frames, out.limits.outbound_frames_max);
  PILLION_SET_WRAPPER(in, max_outbound_control_frames, out.limits.outbound_control_frames_max);
  PILLION_SET_WRAPPER(in, max_consecutive_inbound_frames_with_empty_payload, out.limits.empty_frames_max);
  PILLION_SET_WRAPPER(in, max_inbound_priority_frames_per_stream, out.limits.priority_frames_per_stream_max);
  PILLION_SET_WRAPPER(in, max_inbound_window_update_frames_per_data_frame_sent,
                      out.limits.window_updates_per_data_frame_max);
  cx.unsupported_if(in.override_stream_error_on_invalid_http_message().value(),
                    "override_stream_error_on_invalid_http_message");
  if (!in.has_connection_keepalive()) return;
  if (out.keepalive_interval == nullptr) return cx.unsupported("connection_keepalive");
  const auto at = cx.field("connection_keepalive");
  PILLION_SET_DURATION(cx, in.connection_keepalive(), interval, *out.keepalive_interval);
  PILLION_SET_DURATION(cx, in.connection_keepalive(), timeout, *out.keepalive_timeout);
}

}  // namespace pillion::xds
