// nghttp2, entered from one place (house.md C.2 rule 7). The server and the client codec are thin faces of it.
//
//   feed(): bytes -> nghttp2_session_mem_recv -> callbacks, which record and raise events.  Nothing is sent from there.
//   verbs:  submit to nghttp2, or put body bytes into the stream's own chain.
//   produce(): nghttp2_session_mem_send until the budget is used; DATA goes out as slices of the stream's chain.
//
// A stream lives until its user has left it AND nghttp2 has closed it.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <optional>
#include <string_view>

#include "proxy/base/chain.h"
#include "proxy/base/error.h"
#include "proxy/base/list.h"
#include "proxy/http/codec.h"
#include "proxy/http/h2_flood.h"
#include "proxy/http/h2_head.h"
#include "proxy/http/h2_memory.h"
#include "proxy/http/h2_sequence.h"
#include "proxy/http/h2_stream.h"

namespace pillion::http {

class H2Session {
 public:
  enum class Role : uint8_t { server, client };

  // A peer that makes us decode this many times head_bytes_max in one block loses the connection, not the stream.
  static constexpr size_t kHeadBytesHardFactor = 4;
  // Streams whose user has not left yet, in multiples of concurrent_streams_max: a peer that resets what it opens
  // cannot have more than that going on here.
  static constexpr size_t kStreamsHardFactor = 2;
  static constexpr uint32_t kPeerStreamsBeforeSettings = 100;
  // nghttp2 counts the reads in which the head of a CONTINUATION frame arrives, not the frames; these are counted by
  // H2FloodGuard, and this lets each of their nine octets come alone.
  static constexpr size_t kContinuationReadsMax = 9 * (H2FloodGuard::kContinuationsMax + 1);
  static constexpr size_t kSettingsEntriesMax = 32;
  static constexpr uint32_t kInformationalMax = 16;  // in front of a response; each stays in its user's arena
  // The memory that a burst of streams has left is given back when this part of them is left.
  static constexpr size_t kTrimFraction = 8;
  static constexpr size_t kTrimAtOnceMax = 8;              // streams; after more, it waits for on_minute()
  static constexpr size_t kSendHeadBytesMax = 256 * 1024;  // what we may be asked to send in one block

  H2Session(Role role, ChunkPool& chunks, ServerCodecEvents* events, const CodecLimits& limits);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  Expected<void> feed(Chain& in);
  void lose(const Error& why);  // the connection is gone
  bool wants_produce() const;
  void produce(Chain& out, size_t budget);
  size_t active_streams() const { return active_; }
  bool is_finished() const;
  bool wants_pause() const;
  void on_minute() {
    guard_.on_minute();
    trim_memory(true);
  }
  const Error* failure() const { return failed_ ? &*failed_ : nullptr; }
  const H2Counts& counts() const { return guard_.counts(); }

  // server
  void send_goaway(bool last);
  // client
  H2Stream& start(ClientStreamEvents& events);
  bool can_start() const;
  uint32_t streams_max() const;
  // Each stream's window bounds what waits for its reader. Where the streams are those of many who do not know each
  // other, the connection's must not let one of them stop the others; a stranger's connection has that bound too.
  bool gives_connection_window_at_once() const { return limits_.carries_http1 || role_ == Role::client; }
  bool is_going_away() const { return goaway_received_ || failed_ || lost_; }
  void ping();
  bool awaits_pong() const { return awaits_pong_; }

 private:
  friend class H2Stream;
  struct Glue;  // nghttp2's callbacks

  struct Deleter {
    void operator()(nghttp2_session* s) const { nghttp2_session_del(s); }
  };

  // inbound
  int on_begin_headers(const nghttp2_frame& frame);
  int on_header(int32_t id, std::string_view name, std::string_view value);
  int on_frame_recv(const nghttp2_frame& frame);
  int on_data(int32_t id, const char* data, size_t length);
  void on_headers(H2Stream& stream, bool end);
  void on_request(H2Stream& stream, bool end);
  void on_response(H2Stream& stream, bool end);
  void on_trailers(H2Stream& stream);
  void on_switch(H2Stream& stream, ResponseHead& head);
  void refuse_head(H2Stream& stream, const Error& why);
  void on_close(H2Stream& stream, uint32_t h2_code);
  int crossed(const char* limit);  // nullptr: 0; else the connection is to end
  void settle_input(ssize_t result);

  // outbound
  int on_send_data(H2Stream& stream, const uint8_t* head, size_t length);
  void on_frame_sent(const nghttp2_frame& frame);
  void on_frame_not_sent(const nghttp2_frame& frame);
  void settle_due();
  void put_goaway(Chain& out);

  H2Stream* find(int32_t id) const;
  Side side() const { return role_ == Role::server ? Side::downstream : Side::upstream; }
  Error error_of_close(const H2Stream& stream, uint32_t h2_code) const;
  void tell_end(H2Stream& stream, const Error& why);
  void tell_all(const Error& why);
  void fail(Code code, const char* what, uint32_t h2_code);
  void note_failure(Code code, const char* what);
  void count_peer_error(H2Stream& stream);
  H2Stream& add(ClientStreamEvents* client);  // null on a server, whose user is asked for next
  void drop(H2Stream& stream);
  void forget(H2Stream& stream);  // the end of it
  void trim_memory(bool at_once);
  void submit_settings();

  const Role role_;
  ChunkPool& chunks_;
  ServerCodecEvents* const events_;  // server only
  const CodecLimits limits_;
  H2FloodGuard guard_;
  H2Sequence sequence_;
  H2Memory memory_;  // outlives session_
  std::unique_ptr<nghttp2_session, Deleter> session_;
  OwningList<H2Stream> streams_;
  List<H2Stream, H2DueTag> faulty_;   // have a fault to be told
  List<H2Stream, H2DueTag> waiting_;  // have a request that waits for SETTINGS
  size_t stream_count_ = 0;           // in streams_
  size_t streams_peak_ = 0;           // of stream_count_, since memory was given back
  size_t active_ = 0;                 // whose user has not left
  size_t unsubmitted_ = 0;            // started by the client's user, and without a head
  size_t open_ = 0;                   // known to nghttp2
  H2Fields fields_{limits_.carries_http1};

  bool inside_ = false;  // a callback of nghttp2 is on the stack
  Chain reading_;        // the slice that nghttp2 reads; its front moves along with the bodies that are cut off
  const char* cursor_ = nullptr;
  Chain* writing_ = nullptr;
  size_t writing_until_ = 0;

  const char* crossed_ = nullptr;  // the limit that ended the connection
  std::optional<Error> failed_;
  bool untold_ = false;  // feed() has not returned failed_ yet
  uint32_t failed_code_ = 0;
  bool broken_ = false;      // failed_, and nghttp2 is not entered again
  bool goaway_due_ = false;  // while broken_
  bool goaway_sent_ = false;
  bool goaway_received_ = false;
  bool settings_received_ = false;
  bool lost_ = false;
  bool awaits_pong_ = false;
};

}  // namespace pillion::http
