// Wire codecs without I/O: bytes in become events, verbs become bytes. HTTP/1 and HTTP/2 have the same two faces, so
// the exchange and the attempt do not know which one they speak.
//
//   server: Connection ── feed(bytes) ──► ServerCodec ── on_stream_begin ──► ServerStreamEvents (an Exchange)
//           Connection ◄── produce(out) ── ServerCodec ◄── send_head/body/trailers ── Exchange
//   client: the mirror image, with ClientCodec::start() in place of on_stream_begin.
//
// Events are only raised from inside feed(), on_eof(), on_connection_lost() and produce() (there only on_drained and
// on_reset); the receiver records them and marks itself ready. Verbs are only called from outside of these four; what
// they produce waits in the codec until produce(). So neither side is ever re-entered. No verb raises an event: a
// mistake in what it was given (a name that is no token, a body longer than its content-length) is told by on_reset
// from the next produce(), and wants_produce() is true until then.
//
// Upgrades and CONNECT look the same for both protocols. A request that asks for one has `end` false and, if it is an
// upgrade, `upgrade` set; an extended CONNECT (RFC 8441) appears as the GET that HTTP/1 would send. The answer that
// agrees is a 101 with `upgrade` set (HTTP/2 says 200), or a 2xx to CONNECT; from then on the bodies are the tunnel's
// bytes, and their `end` is a half-close. Any other answer is an ordinary response, and the request has no body.
#pragma once

#include <cstdint>
#include <memory>

#include "proxy/base/arena.h"
#include "proxy/base/chain.h"
#include "proxy/base/error.h"
#include "proxy/http/message.h"

namespace pillion::http {

// Limits of one connection; defaults are safe. Each is counted when hit by the owner, from the error's code.
struct CodecLimits {
  uint32_t head_bytes_max = 60 * 1024;        // names and values of one head, URL included (HCM max_request_headers_kb)
  uint32_t headers_max = 100;                 // fields in one head or trailer (max_headers_count)
  uint32_t concurrent_streams_max = 1024;     // HTTP/2, offered to the peer
  uint32_t stream_window_bytes = 256 * 1024;  // HTTP/2 initial_stream_window_size
  uint32_t connection_window_bytes = 1024 * 1024;
  uint32_t stream_buffer_bytes =
      256 * 1024;                         // output of one stream held back by the peer's window, before is_congested()
  uint32_t outbound_frames_max = 10'000;  // HTTP/2 frames queued and not yet produced
  uint32_t outbound_control_frames_max = 1'000;
  uint32_t empty_frames_max = 1;  // consecutive inbound frames without payload and END_STREAM
  uint32_t priority_frames_per_stream_max = 100;
  uint32_t window_updates_per_data_frame_max = 10;
  uint32_t resets_per_minute_max = 200;  // RST_STREAM received, or sent because of the peer's errors
  bool accept_http10 = true;
  bool extended_connect = true;  // a server of HTTP/2 offers RFC 8441
  bool carries_http1 = false;    // HTTP/2 between two Pillions: heads keep what only HTTP/1 can say (carry.h)
};

// One request/response on a connection, as seen by the codec's user. Owned by the codec; valid from on_stream_begin or
// start() until the user says reset() or detach(), exactly one of them and exactly once, or until the codec dies. That
// is also so after on_reset: the other verbs then do nothing, with one exception, see ServerStreamEvents.
class Stream {
 public:
  virtual void send_body(Chain&& data, bool end) = 0;
  virtual void send_trailers(const HeaderMap& trailers) = 0;  // ends the stream's output
  // RST_STREAM; on HTTP/1 the connection is over. No more events for this stream, which is gone afterwards.
  virtual void reset(Code why) = 0;
  // The user is done with it: both directions ended or it no longer cares. No more events. What was already sent still
  // goes out; a direction that has not ended is reset (HTTP/1: the connection closes behind the last byte).
  virtual void detach() = 0;
  // Flow control of what was received: the user passed `bytes` on (HTTP/2 opens the peer's window; HTTP/1: nothing).
  virtual void consume(size_t bytes) = 0;
  // Backpressure of what is sent: bytes held back by the peer's stream window.
  virtual size_t buffered_bytes() const = 0;
  virtual bool is_congested() const = 0;  // on_drained follows when it no longer is
  // After a 101, or a 2xx to CONNECT: bytes pass in both directions as body, without framing on HTTP/1.
  virtual uint64_t id() const = 0;

 protected:
  ~Stream() = default;
};

class ServerStream : public Stream {
 public:
  virtual void send_informational(const ResponseHead& head) = 0;  // 100, 103; 101 goes through send_head
  virtual void send_head(const ResponseHead& head, bool end) = 0;
};

class ClientStream : public Stream {
 public:
  virtual void send_head(const RequestHead& head, bool end) = 0;
};

// The receiver of one stream's events. `end` says that nothing follows in that direction.
class StreamEvents {
 public:
  virtual Arena& arena() = 0;                          // heads of this stream are built in it
  virtual void on_body(Chain&& data, bool end) = 0;    // data may be empty when end is set
  virtual void on_trailers(HeaderMap&& trailers) = 0;  // ends this direction
  // The stream is gone, or the connection under it. Last event. May follow the end of the input (a client that goes
  // away before its response is complete; a server that answered early and wants no more of the request).
  virtual void on_reset(const Error& why) = 0;
  virtual void on_drained() = 0;  // output may go on: what was congested fell below half of the limit

 protected:
  ~StreamEvents() = default;
};

// A request whose head is refused gets on_reset(bad_message, head_too_large or unsupported) and no on_request_head. One
// that breaks the framing of its body gets on_reset(bad_message). In both cases the stream can still be answered, when
// no head was sent before: send_head (400, 431, 501), perhaps send_body, then detach(). HTTP/1 closes behind the
// answer.
class ServerStreamEvents : public StreamEvents {
 public:
  virtual void on_request_head(RequestHead&& head, bool end) = 0;

 protected:
  ~ServerStreamEvents() = default;
};

class ClientStreamEvents : public StreamEvents {
 public:
  virtual void on_informational(ResponseHead&& head) = 0;  // 100, 102, 103 …, never 101
  virtual void on_response_head(ResponseHead&& head, bool end) = 0;

 protected:
  ~ClientStreamEvents() = default;
};

class ServerCodecEvents {
 public:
  // A request begins. The events object must live until its last event, or until it detached.
  virtual ServerStreamEvents& on_stream_begin(ServerStream& stream) = 0;

 protected:
  ~ServerCodecEvents() = default;
};

// What both kinds of connection have in common.
class Codec {
 public:
  virtual ~Codec() = default;
  // Consumes what it can. What it leaves in `in` (pipelined requests behind an unfinished one, early bytes of a tunnel
  // that is not yet agreed) must be shown again once wants_pause() is false, also if nothing new was read. An error
  // ends the connection after produce() has given out what the peer should still hear (the answer to the refused
  // request, GOAWAY) and is_finished() is true; it is returned once, and input after it is dropped.
  virtual Expected<void> feed(Chain& in) = 0;
  virtual void on_eof() = 0;                              // the peer's FIN: streams that still wait get on_reset
  virtual void on_connection_lost(const Error& why) = 0;  // each open stream gets on_reset
  virtual bool wants_produce() const = 0;
  // Appends at most about `budget` bytes to `out`; call again when the transport has drained.
  virtual void produce(Chain& out, size_t budget) = 0;
  virtual size_t active_streams() const = 0;
  virtual Version version() const = 0;
  // Why the connection is over, where the peer or a limit is to blame; for the log. feed() returned it, except what
  // HTTP/2 finds out only while it writes its GOAWAY: then only the streams and is_finished() tell.
  virtual const Error* failure() const { return nullptr; }
  // Nothing more will be said or heard: the owner closes the transport once it has written everything.
  virtual bool is_finished() const = 0;
  // Nothing more will be said, although more may be heard (a tunnel whose near end sent its FIN): the owner half-closes
  // the transport once it has written everything.
  virtual bool is_output_finished() const { return is_finished(); }
  // The last message was cut short: the owner closes with a reset, so that no peer takes it for whole.
  virtual bool wants_abort() const { return false; }
  // The owner's timer says so about once a minute; counts "per minute" start over. The codecs read no clock.
  virtual void on_minute() {}
  // HTTP/1: stop feeding, the current request is complete but not answered (no read-ahead beyond one pipelined head).
  virtual bool wants_pause() const = 0;
};

class ServerCodec : public Codec {
 public:
  // Graceful end. HTTP/1: `connection: close` on the next response whose head is not out yet; with `last` also the end
  // once nothing is asked. HTTP/2: GOAWAY(2^31-1), then with `last` the real one.
  virtual void start_drain(bool last) = 0;
};

class ClientCodec : public Codec {
 public:
  virtual bool can_start() const = 0;                           // room for one more stream now
  virtual uint32_t streams_max() const = 0;                     // HTTP/1: 1; HTTP/2: the peer's SETTINGS
  virtual ClientStream& start(ClientStreamEvents& events) = 0;  // requires can_start()
  virtual bool is_going_away() const = 0;                       // GOAWAY or connection: close was seen; no new streams
  virtual void ping() = 0;                                      // HTTP/2 keep-alive; nothing on HTTP/1
  virtual bool awaits_pong() const = 0;
};

std::unique_ptr<ServerCodec> make_h1_server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits);
std::unique_ptr<ServerCodec> make_h2_server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits);
std::unique_ptr<ClientCodec> make_h1_client(ChunkPool& chunks, const CodecLimits& limits);
std::unique_ptr<ClientCodec> make_h2_client(ChunkPool& chunks, const CodecLimits& limits);

}  // namespace pillion::http
