// What a peer may not send after what it has sent itself (RFC 9113 5.1, 5.1.1, 6.1, 6.3). nghttp2 forgets streams that
// are closed and drops their DATA and HEADERS in silence, and it does not look at PRIORITY; so the heads of frames are
// read here once more, before it gets them. The rules follow from the peer's own frames alone, whatever we sent
// meanwhile.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pillion::http {

class H2Sequence {
 public:
  static constexpr size_t kEndedKept = 16;  // of older ones, frames are dropped
  static constexpr size_t kPassedOverKept = 4;

  struct Fault {
    const char* what;
    uint32_t h2_code;
  };

  // `skipped`: octets in front of the first frame, as the preface of a client.
  H2Sequence(bool peer_opens_streams, size_t skipped) : left_(skipped), peer_opens_streams_(peer_opens_streams) {}

  // How many octets of these, the next ones, stand before a frame that may not be there; all of them if there is none.
  size_t check(std::string_view octets);
  const Fault* fault() const { return fault_.what != nullptr ? &fault_ : nullptr; }

 private:
  static constexpr size_t kHeadOctets = 9;

  struct Gap {
    int32_t above = 0;
    int32_t below = 0;
  };

  Fault on_head();
  Fault on_message_frame(int32_t id);
  bool was_ended(int32_t id) const { return std::find(ended_.begin(), ended_.end(), id) != ended_.end(); }
  bool was_passed_over(int32_t id) const;
  void note_opened(int32_t id);

  size_t left_;  // of the payload
  std::array<uint8_t, kHeadOctets> head_{};
  uint8_t have_ = 0;  // of the head
  const bool peer_opens_streams_;
  uint8_t ended_next_ = 0;
  uint8_t passed_over_next_ = 0;
  int32_t last_opened_ = -1;
  std::array<int32_t, kEndedKept> ended_{};  // 0 is no stream that ends
  std::array<Gap, kPassedOverKept> passed_over_{};
  Fault fault_{nullptr, 0};
};

}  // namespace pillion::http
