// One connection to an endpoint: a transport and a client codec, and the edge where what the codec says becomes writes
// and closes. Owned by its pool.
#pragma once

#include <memory>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/event/timer_queue.h"
#include "proxy/http/codec.h"
#include "proxy/net/transport.h"
#include "proxy/upstream/circuit.h"

namespace pillion::upstream {

class Connection;
class Endpoint;

// What a connection needs from its pool: files it by what its codec's state allows, and takes it when it is gone.
class ConnectionOwner {
 public:
  virtual Endpoint& endpoint() const = 0;
  virtual void update(Connection& connection) = 0;
  virtual void remove(Connection& connection) = 0;

 protected:
  ~ConnectionOwner() = default;
};

class Connection final : public event::Retirable,
                         public ListNode<>,
                         public event::Flushable,
                         public net::TransportEvents {
 public:
  Connection(ConnectionOwner& pool, net::TransportPtr transport, std::unique_ptr<http::ClientCodec> codec,
             BreakerSlot slot);
  ~Connection() override;

  // Opens a stream. What it sends is written at the end of the turn.
  http::ClientStream& start(http::ClientStreamEvents& events);
  // The stream's user is done with it or has new output: writes it, and files the connection anew.
  void touch();

  // HTTP/1 reads only as fast as its one reader: a pause stops the socket. HTTP/2 has windows for that.
  void pause_reading();
  void resume_reading();

  http::Version version() const { return codec_->version(); }
  const net::Transport& transport() const { return *transport_; }
  bool is_reused() const { return streams_started_ > 1; }
  uint64_t write_mark() const { return transport_->bytes_written(); }
  bool was_unseen_since(uint64_t mark) const { return transport_->was_unseen_since(mark); }
  bool has_room() const { return !closing_ && codec_->can_start() && !is_used_up(); }
  bool is_idle() const { return codec_->active_streams() == 0; }
  bool is_going_away() const { return closing_ || codec_->is_going_away() || is_used_up(); }
  size_t active_streams() const { return codec_->active_streams(); }
  void drain();  // take no more; close when idle

 private:
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override;
  void on_closed(const Error& why) override;
  void flush() override;
  void on_idle_timeout();
  void on_max_duration();
  void on_keepalive();
  bool is_used_up() const;
  void after_event();         // what every edge ends with: write, file, close where due
  void finish(bool by_peer);  // leaves the pool; the memory waits for the end of the turn

  ConnectionOwner& pool_;
  event::Executor& executor_;
  net::TransportPtr transport_;
  std::unique_ptr<http::ClientCodec> codec_;
  BreakerSlot slot_;
  event::Timer idle_timer_;
  event::Timer age_timer_;
  event::Timer keepalive_timer_;
  uint32_t streams_started_ = 0;
  uint32_t pauses_ = 0;
  bool draining_ = false;
  bool closing_ = false;
};

}  // namespace pillion::upstream
