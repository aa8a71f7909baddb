// The server side of HTTP/1.1 and 1.0: one request at a time, in order.
//
//   idle ── first octet ──► reading ── end of request ──► answering ── detach() ──► idle
//                             │  └─ upgrade, CONNECT ──► undecided ── 101/2xx ──► tunnel ── detach() ──► closing
//                             │                              └─ anything else ──► answering
//                             └─ broken, or detach() before the end ───────────────────────────────────► closing
#pragma once

#include <optional>
#include <string>

#include "proxy/base/rare.h"
#include "proxy/http/codec.h"
#include "proxy/http/h1_parser.h"
#include "proxy/http/h1_writer.h"

namespace pillion::http {

class H1Server final : public ServerCodec, private ServerStream {
 public:
  H1Server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits);

  Expected<void> feed(Chain& in) override;
  void on_eof() override;
  void on_connection_lost(const Error& why) override;
  bool wants_produce() const override { return !output_.empty() || fault_.has_value(); }
  void produce(Chain& out, size_t budget) override;
  size_t active_streams() const override { return busy_ ? 1 : 0; }
  Version version() const override { return version_; }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }
  bool is_finished() const override;
  bool is_output_finished() const override;
  bool wants_abort() const override { return aborted_; }
  bool wants_pause() const override { return busy_ && !tunnel_ && (in_over_ || undecided_); }
  void start_drain(bool last) override;

 private:
  // ServerStream
  void send_informational(const ResponseHead& head) override;
  void send_head(const ResponseHead& head, bool end) override;
  void send_body(Chain&& data, bool end) override;
  void send_trailers(const HeaderMap& trailers) override;
  void reset(Code why) override;
  void detach() override;
  void consume(size_t) override {}
  size_t buffered_bytes() const override { return output_.size(); }
  bool is_congested() const override { return congested_; }
  uint64_t id() const override { return requests_; }

  Expected<void> run(Chain& in);
  void begin_stream();
  void on_head();
  void on_step_end();
  std::unexpected<Error> refuse();
  bool is_writable() const { return busy_ && !dead_ && !fault_ && !out_over_; }
  bool is_agreement(const ResponseHead& head) const;
  const char* check_head(const ResponseHead& head, bool end) const;
  void start_tunnel(const ResponseHead& head);
  std::string_view connection_option() const;
  void settle_output(const char* fault, bool end);
  void retire_stream();

  ServerCodecEvents& events_;
  const CodecLimits limits_;
  H1Parser parser_;
  H1Output output_;
  ServerStreamEvents* user_ = nullptr;  // none once it was told of its end
  std::optional<Error> failure_;
  std::optional<Error> fault_;  // to be told by the next produce()
  Version version_ = Version::http11;
  uint64_t requests_ = 0;
  Rare<std::string> upgrade_;  // what the request asked for

  bool busy_ = false;     // there is a stream, until detach() or reset()
  bool in_over_ = false;  // no more of this request is read
  bool head_sent_ = false;
  bool begun_output_ = false;  // the response is on its way
  bool out_over_ = false;
  bool undecided_ = false;  // an upgrade or CONNECT that is not answered
  bool tunnel_ = false;
  bool is_head_ = false;
  bool is_connect_ = false;
  bool close_ = false;  // behind this response
  bool congested_ = false;

  bool closing_ = false;  // nothing more is read
  bool dead_ = false;     // nothing more can be written
  bool aborted_ = false;
  bool draining_ = false;  // the next head says so
  bool last_ = false;      // and an idle connection is over
  bool eof_ = false;
  bool left_over_ = false;  // the last feed() left bytes behind
};

}  // namespace pillion::http
