// The client side of HTTP/1.1 (answers of 1.0 are understood): one request at a time.
//
//   idle ─ start() ─► busy: request  idle → head → body → over       } independent: a response may come, and even end,
//                           response idle → [1xx]* → head → body → over } before the request has
//   detach() ─► idle if both are over and the peer keeps the connection, else closing
#pragma once

#include <optional>
#include <string>

#include "proxy/http/codec.h"
#include "proxy/http/h1_parser.h"
#include "proxy/http/h1_writer.h"

namespace pillion::http {

class H1Client final : public ClientCodec, private ClientStream {
 public:
  // Informational responses before one final response.
  static constexpr uint32_t kInformationalMax = 16;

  H1Client(ChunkPool& chunks, const CodecLimits& limits);

  Expected<void> feed(Chain& in) override;
  void on_eof() override;
  void on_connection_lost(const Error& why) override;
  bool wants_produce() const override { return !output_.empty() || fault_.has_value(); }
  void produce(Chain& out, size_t budget) override;
  size_t active_streams() const override { return busy_ ? 1 : 0; }
  Version version() const override { return Version::http11; }
  const Error* failure() const override { return failure_ ? &*failure_ : nullptr; }
  bool is_finished() const override { return closing_ && !busy_; }
  bool is_output_finished() const override;
  bool wants_abort() const override { return aborted_; }
  bool wants_pause() const override { return false; }

  bool can_start() const override { return !busy_ && !closing_; }
  uint32_t streams_max() const override { return 1; }
  ClientStream& start(ClientStreamEvents& events) override;
  bool is_going_away() const override { return closing_ || close_; }
  void ping() override {}
  bool awaits_pong() const override { return false; }

 private:
  // ClientStream
  void send_head(const RequestHead& head, bool end) override;
  void send_body(Chain&& data, bool end) override;
  void send_trailers(const HeaderMap& trailers) override;
  void reset(Code why) override;
  void detach() override;
  void consume(size_t) override {}
  size_t buffered_bytes() const override { return output_.size() + early_.size(); }
  bool is_congested() const override { return congested_; }
  uint64_t id() const override { return requests_; }

  Expected<void> run(Chain& in);
  std::unexpected<Error> fail(Error why);
  bool on_head();  // false: the response is not to be believed; see broken_
  bool on_switch(const ResponseHead& head);
  void on_step_end();
  void end_stream(Error why);
  Retry retry() const;
  bool is_writable() const { return busy_ && !closing_ && !fault_ && !out_over_; }
  const char* check_head(const RequestHead& head, bool end) const;
  void settle_output(const char* fault, bool end);
  void retire_stream(bool may_reuse);

  const CodecLimits limits_;
  H1Parser parser_;
  H1Output output_;
  Chain early_;                         // body of an upgrade that the server has not agreed to
  ClientStreamEvents* user_ = nullptr;  // none once it was told of its end
  std::optional<Error> failure_;
  std::optional<Error> fault_;  // to be told by the next produce()
  const char* broken_ = nullptr;
  uint64_t requests_ = 0;
  std::string upgrade_;  // what the request asks for
  uint32_t informational_ = 0;

  bool busy_ = false;  // there is a stream, until detach() or reset()
  bool head_sent_ = false;
  bool produced_ = false;  // some of the request may have reached the peer
  bool answered_ = false;  // some of the response came
  bool in_over_ = false;
  bool out_over_ = false;
  bool undecided_ = false;  // an upgrade or CONNECT that is not answered
  bool tunnel_ = false;
  bool is_head_ = false;
  bool is_connect_ = false;
  bool congested_ = false;

  bool close_ = false;    // the server will close behind this response
  bool closing_ = false;  // nothing more is read, no new stream
  bool aborted_ = false;
};

}  // namespace pillion::http
