// The client side of HTTP/2 (RFC 9113, RFC 8441), by prior knowledge or ALPN.
#pragma once

#include "proxy/http/codec.h"
#include "proxy/http/h2_session.h"

namespace pillion::http {

class H2Client final : public ClientCodec {
 public:
  H2Client(ChunkPool& chunks, const CodecLimits& limits) : session_(H2Session::Role::client, chunks, nullptr, limits) {}

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

  bool can_start() const override { return session_.can_start(); }
  uint32_t streams_max() const override { return session_.streams_max(); }
  ClientStream& start(ClientStreamEvents& events) override { return session_.start(events); }
  bool is_going_away() const override { return session_.is_going_away(); }
  void ping() override { session_.ping(); }
  bool awaits_pong() const override { return session_.awaits_pong(); }

 private:
  H2Session session_;
};

}  // namespace pillion::http
