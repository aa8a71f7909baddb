// One connection to our own server: the edge where what the codec and the exchanges say becomes writes and closes.
//
//   [handshake] ──► detecting ── first bytes, or ALPN ──► serving ── all is said ──► parting ── FIN, or late ──► gone
//                                                             └─ broken, refused, idle ──────────────────────────►
#pragma once

#include <memory>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/http/codec.h"
#include "proxy/net/transport.h"
#include "proxy/rpc/server_exchange.h"

namespace pillion::rpc {

class ServerConnection;

class ConnectionOwner {
 public:
  virtual event::Executor& executor() = 0;
  virtual const HttpServerOptions& options() const = 0;
  virtual void remove(ServerConnection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class ServerConnection final : public event::Retirable,
                               public ListNode<>,
                               public event::Flushable,
                               public net::TransportEvents,
                               public http::ServerCodecEvents,
                               public ExchangeOwner {
 public:
  // After the last byte that we say, what the client still sends is dropped for so long: closing at once would reset
  // the connection and could cost it our answer.
  static constexpr Duration kPartingTime{2'000'000};

  ServerConnection(ConnectionOwner& owner, net::TransportPtr transport);

  // === ExchangeOwner ===
  event::Executor& executor() override { return owner_.executor(); }
  const HttpServerOptions& options() const override { return owner_.options(); }
  const Peer& peer() const override { return peer_; }
  size_t unsent_bytes() const override { return transport_->pending_write_bytes(); }
  void touch() override;
  void remove(ServerExchange& exchange) override;

 private:
  // net::TransportEvents
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override { touch(); }
  void on_closed(const Error& why) override;
  // http::ServerCodecEvents
  http::ServerStreamEvents& on_stream_begin(http::ServerStream& stream) override;

  void serve(net::TransportPtr transport);
  bool detect(Chain& in);
  void make_codec(bool is_h2);
  void flush() override;
  void after_event();
  void follow_pause();
  void on_timer();
  void on_minute();
  void part();
  void finish(const Error& why);

  ConnectionOwner& owner_;
  net::TransportPtr transport_;
  Peer peer_;
  std::unique_ptr<http::ServerCodec> codec_;  // none until we know which
  OwningList<ServerExchange> exchanges_;
  event::Timer timer_;  // without a request: idle; parting: the end of patience
  event::Timer minute_timer_;
  bool paused_ = false;
  bool eof_ = false;
  bool draining_ = false;
  bool parting_ = false;
  bool closing_ = false;
};

}  // namespace pillion::rpc
