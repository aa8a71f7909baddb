// Counts what an HTTP/2 peer can make us do cheaply: frames that cost it little and us work or memory (conformance.md
// 3.1 rows 1-6). No clock: what is lawful grows with the useful work on the connection, resets also with on_minute().
#pragma once

#include <cstdint>
#include <iterator>

#include "proxy/http/codec.h"

namespace pillion::http {

// The limits by name: what an error says, and the counter.
struct FloodName {
  const char* what;
  const char* counter;
};
enum class Flood : uint8_t {
  empty_frames,
  priorities,
  window_updates,
  outbound_frames,
  acknowledgements,
  header_bytes,
  continuations,
  settings,
  pings,
  resets_received,
  resets_sent,
  kCount
};
inline constexpr FloodName kFloods[] = {
    {"flood of empty frames", "inbound_empty_frames_flood"},
    {"flood of PRIORITY frames", "inbound_priority_frames_flood"},
    {"flood of WINDOW_UPDATE frames", "inbound_window_update_frames_flood"},
    {"too many outbound frames", "outbound_flood"},
    {"flood of frames to acknowledge", "outbound_control_flood"},
    {"flood of header bytes", "header_overflow"},
    {"flood of CONTINUATION frames", "inbound_continuation_frames_flood"},
    {"flood of SETTINGS frames", "inbound_settings_frames_flood"},
    {"flood of PING frames", "inbound_ping_frames_flood"},
    {"flood of RST_STREAM frames", "inbound_reset_frames_flood"},
    {"flood of errors that reset streams", "outbound_reset_frames_flood"},
};
static_assert(std::size(kFloods) == static_cast<size_t>(Flood::kCount));
constexpr const char* what_of(Flood flood) {
  return kFloods[static_cast<size_t>(flood)].what;
}

struct H2Counts {
  uint64_t streams = 0;  // opened by either side
  uint64_t data_frames_received = 0;
  uint64_t data_frames_sent = 0;
  uint64_t empty_frames = 0;   // consecutive ones without payload and END_STREAM
  uint64_t continuations = 0;  // of one field block
  uint64_t settings = 0;       // received, without ACK
  uint64_t pings = 0;          // received, without ACK
  uint64_t priorities = 0;
  uint64_t window_updates = 0;
  uint64_t resets_received = 0;  // this minute, less the streams that ended well
  uint64_t resets_sent = 0;      // because of the peer's errors; likewise
};

class H2FloodGuard {
 public:
  // Envoy's proportions: PRIORITY <= n x (1 + streams), WINDOW_UPDATE <= 5 + 2 x (streams + n x DATA sent).
  static constexpr uint64_t kWindowUpdatesFree = 5;
  // Keep-alive and bandwidth probes: gRPC sends about one PING per batch of DATA.
  static constexpr uint64_t kPingsFree = 1000;
  static constexpr uint64_t kPingsPerFrame = 10;
  static constexpr uint64_t kSettingsFree = 100;
  static constexpr uint64_t kContinuationsMax = 8;  // per field block (CVE-2024-28182)

  explicit H2FloodGuard(const CodecLimits& limits) : limits_(limits) {}

  // Each answers what limit was crossed, or nullptr. Types and flags as on the wire (RFC 9113 6).
  const char* on_frame(uint8_t type, uint8_t flags, uint64_t length);
  const char* on_reset_received();
  const char* on_reset_sent();
  const char* on_queue(uint64_t outbound_frames) const;
  void on_stream_opened() { ++counts_.streams; }
  void on_data_sent() { ++counts_.data_frames_sent; }
  void on_stream_completed();
  void on_minute();
  const H2Counts& counts() const { return counts_; }

 private:
  const char* on_empty_frame(bool is_empty);

  const CodecLimits& limits_;
  H2Counts counts_;
};

}  // namespace pillion::http
