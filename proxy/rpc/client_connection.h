// One HTTP/2 connection of a channel: transport, codec, keep-alive.
#pragma once

#include <memory>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/http/codec.h"
#include "proxy/net/transport.h"

namespace pillion::rpc {

class ClientConnection;

class ClientConnectionOwner {
 public:
  virtual event::Executor& executor() = 0;
  virtual void on_changed(ClientConnection& connection) = 0;  // room, or going away
  // It is over; streams and codec are gone when this returns to the loop.
  virtual void on_lost(ClientConnection& connection, const Error& why) = 0;

 protected:
  ~ClientConnectionOwner() = default;
};

class ClientConnection final : public event::Retirable,
                               public ListNode<>,
                               public event::Flushable,
                               public net::TransportEvents {
 public:
  static constexpr Duration kPongTimeout{10'000'000};
  // A mesh's configuration comes in large messages: windows that do not stop it every quarter of a MiB.
  static constexpr uint32_t kStreamWindowBytes = 4 << 20;
  static constexpr uint32_t kConnectionWindowBytes = 8 << 20;

  ClientConnection(ClientConnectionOwner& owner, net::TransportPtr transport, Duration keepalive_interval);

  bool has_room() const { return !closing_ && codec_->can_start(); }
  bool is_going_away() const { return closing_ || codec_->is_going_away(); }
  http::ClientStream& start(http::ClientStreamEvents& events);
  void touch();
  void close();  // quietly: the owner knows

 private:
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override { touch(); }
  void on_closed(const Error& why) override { lose(why); }
  void flush() override;
  void on_keepalive();
  void lose(const Error& why);

  ClientConnectionOwner& owner_;
  net::TransportPtr transport_;
  std::unique_ptr<http::ClientCodec> codec_;
  event::Timer keepalive_timer_;
  const Duration keepalive_interval_;
  bool awaiting_ = false;  // the timer is about the PONG
  bool closing_ = false;
};

}  // namespace pillion::rpc
