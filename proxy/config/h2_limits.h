// Http2ProtocolOptions: what a peer may make us do before its connection ends. The names are the API's, see
// xds/translate/http_options.cc.
#pragma once

#include <cstdint>

namespace pillion::config {

struct H2Limits {
  uint32_t outbound_frames_max = 10'000;
  uint32_t outbound_control_frames_max = 1'000;
  uint32_t empty_frames_max = 1;
  uint32_t priority_frames_per_stream_max = 100;
  uint32_t window_updates_per_data_frame_max = 10;
};

}  // namespace pillion::config
