// The server side of HTTP/2 (RFC 9113, RFC 8441).
#pragma once

#include "proxy/http/codec.h"
#include "proxy/http/h2_session.h"

namespace pillion::http {

class H2Server final : public ServerCodec {
 public:
  H2Server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits)
      : session_(H2Session::Role::server, chunks, &events, limits) {}

  Expected<void> feed(Chain& in) override { return session_.feed(in); }
  void on_eof() override;
  void on_connection_lost(const Error& why) override { session_.lose(why); }
  bool wants_produce() const override { return session_.wants_produce(); }
  void produce(Chain& out, size_t budget) override { session_.produce(out, budget); }
  size_t active_streams() const override { return session_.active_streams(); }
  Version version() const override { return Version::http2; }
  const Error* failure() const override { return session_.failure(); }
  bool is_finished() const override { return session_.is_finished(); }
  bool wants_pause() const override { return session_.wants_pause(); }
  void on_minute() override { session_.on_minute(); }
  void start_drain(bool last) override { session_.send_goaway(last); }

  const H2Counts& counts() const { return session_.counts(); }

 private:
  H2Session session_;
};

}  // namespace pillion::http
