#include "proxy/http/h2_flood.h"

namespace pillion::http {
namespace {

// RFC 9113 6.
enum : uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kSettings = 4,
  kPing = 6,
  kWindowUpdate = 8,
  kContinuation = 9
};
constexpr uint8_t kEndStream = 1;
constexpr uint8_t kAck = 1;

}  // namespace

const char* H2FloodGuard::on_empty_frame(bool is_empty) {
  counts_.empty_frames = is_empty ? counts_.empty_frames + 1 : 0;
  return counts_.empty_frames > limits_.empty_frames_max ? what_of(Flood::empty_frames) : nullptr;
}

const char* H2FloodGuard::on_frame(uint8_t type, uint8_t flags, uint64_t length) {
  H2Counts& c = counts_;
  switch (type) {
    case kData:
      if (length > 0) ++c.data_frames_received;
      return on_empty_frame(length == 0 && (flags & kEndStream) == 0);
    case kHeaders: c.continuations = 0; return on_empty_frame(length == 0 && (flags & kEndStream) == 0);
    case kContinuation: return ++c.continuations > kContinuationsMax ? what_of(Flood::continuations) : nullptr;
    case kPriority:
      return ++c.priorities > limits_.priority_frames_per_stream_max * (1 + c.streams) ? what_of(Flood::priorities)
                                                                                       : nullptr;
    case kSettings:
      if ((flags & kAck) != 0) return nullptr;
      return ++c.settings > kSettingsFree + c.streams ? what_of(Flood::settings) : nullptr;
    case kPing:
      if ((flags & kAck) != 0) return nullptr;
      return ++c.pings > kPingsFree + kPingsPerFrame * (c.streams + c.data_frames_received + c.data_frames_sent)
                 ? what_of(Flood::pings)
                 : nullptr;
    case kWindowUpdate: {
      const uint64_t lawful =
          kWindowUpdatesFree + 2 * (c.streams + limits_.window_updates_per_data_frame_max * c.data_frames_sent);
      return ++c.window_updates > lawful ? what_of(Flood::window_updates) : nullptr;
    }
    default: return nullptr;
  }
}

const char* H2FloodGuard::on_reset_received() {
  return ++counts_.resets_received > limits_.resets_per_minute_max ? what_of(Flood::resets_received) : nullptr;
}

const char* H2FloodGuard::on_reset_sent() {
  return ++counts_.resets_sent > limits_.resets_per_minute_max ? what_of(Flood::resets_sent) : nullptr;
}

const char* H2FloodGuard::on_queue(uint64_t outbound_frames) const {
  return outbound_frames > limits_.outbound_frames_max ? what_of(Flood::outbound_frames) : nullptr;
}

// Each stream that ends well pays for one that does not, so that a busy connection may cancel in proportion.
void H2FloodGuard::on_stream_completed() {
  if (counts_.resets_received > 0) --counts_.resets_received;
  if (counts_.resets_sent > 0) --counts_.resets_sent;
}

void H2FloodGuard::on_minute() {
  counts_.resets_received = 0;
  counts_.resets_sent = 0;
  counts_.settings = 0;
  counts_.pings = 0;
}

}  // namespace pillion::http
