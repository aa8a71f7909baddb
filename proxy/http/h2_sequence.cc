#include "proxy/http/h2_sequence.h"

#include <nghttp2/nghttp2.h>

namespace pillion::http {

size_t H2Sequence::check(std::string_view octets) {
  size_t at = 0;
  while (at < octets.size()) {
    if (left_ > 0) {
      const size_t n = std::min(left_, octets.size() - at);
      left_ -= n;
      at += n;
      continue;
    }
    const size_t start = at;
    const size_t n = std::min<size_t>(kHeadOctets - have_, octets.size() - at);
    std::copy_n(octets.data() + at, n, head_.begin() + have_);
    have_ = static_cast<uint8_t>(have_ + n);
    at += n;
    if (have_ < kHeadOctets) break;
    have_ = 0;
    left_ = size_t{head_[0]} << 16 | size_t{head_[1]} << 8 | head_[2];
    fault_ = on_head();
    if (fault_.what != nullptr) return start;
  }
  return octets.size();
}

H2Sequence::Fault H2Sequence::on_head() {
  const uint8_t type = head_[3];
  const uint8_t flags = head_[4];
  const auto id = static_cast<int32_t>((uint32_t{head_[5]} & 0x7f) << 24 | uint32_t{head_[6]} << 16 |
                                       uint32_t{head_[7]} << 8 | head_[8]);
  if (type == NGHTTP2_PRIORITY && id == 0) return {"PRIORITY on stream 0", NGHTTP2_PROTOCOL_ERROR};
  const bool is_message = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS;
  if (is_message && id != 0) {
    if (type == NGHTTP2_HEADERS && peer_opens_streams_) note_opened(id);
    if (const Fault fault = on_message_frame(id); fault.what != nullptr) return fault;
  }
  const bool ends = is_message ? (flags & NGHTTP2_FLAG_END_STREAM) != 0 : type == NGHTTP2_RST_STREAM;
  if (ends && !was_ended(id)) ended_[ended_next_++ % kEndedKept] = id;
  return {nullptr, 0};
}

H2Sequence::Fault H2Sequence::on_message_frame(int32_t id) {
  if (was_ended(id)) return {"a frame on a stream that its sender ended", NGHTTP2_STREAM_CLOSED};
  if (was_passed_over(id)) return {"a frame on a stream that was passed over", NGHTTP2_PROTOCOL_ERROR};
  return {nullptr, 0};
}

// Opening a stream closes those below it that were not opened (RFC 9113 5.1.1).
void H2Sequence::note_opened(int32_t id) {
  if (id > last_opened_ + 2) passed_over_[passed_over_next_++ % kPassedOverKept] = {last_opened_, id};
  last_opened_ = std::max(last_opened_, id);
}

bool H2Sequence::was_passed_over(int32_t id) const {
  return id < last_opened_ && std::any_of(
                                  passed_over_.begin(), passed_over_.end(),
                                  [&](const Gap& gap) { return gap.above < id && id < gap.below; });
}

}  // namespace pillion::http
