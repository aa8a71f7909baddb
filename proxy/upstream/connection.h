// One connection to an endpoint: a transport and a client codec, and the edge where what the codec says becomes writes
// and closes. Owned by its pool.
#pragma once

#include <memory>
#include <vector>

#include "proxy/base/list.h"
#include "proxy/event/executor.h"
#include "proxy/event/timer_queue.h"
#include "proxy/http/codec.h"
#include "proxy/net/transport.h"
#include "proxy/upstream/context.h"

namespace pillion::upstream {

class Connection;

// What a connection needs from its pool: files it by what its codec's state allows, and takes it when it is gone.
class ConnectionOwner {
 public:
  virtual ClusterContext& context() const = 0;
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
  enum class Filing : uint8_t { none, ready, busy, draining };

  Connection(ConnectionOwner& pool, net::TransportPtr transport, std::unique_ptr<http::ClientCodec> codec,
             ConnectionSlot slot);
  ~Connection() override;

  // Opens a stream; requires has_room(). What it sends is written at the end of the turn.
  http::ClientStream& start(http::ClientStreamEvents& events);
  // The stream has new output: writes it at the end of the turn.
  void touch();
  // The user is done with its stream, in one of the two ways of http::Stream. May be called from inside the stream's
  // events, also from on_reset: the codec is told as soon as it is not busy. Once the stream's on_reset came and the
  // connection is closed, this does nothing and need not be called.
  void detach(http::ClientStream& stream) { let_go(stream, Code::ok); }
  void reset(http::ClientStream& stream, Code why) { let_go(stream, why); }

  // HTTP/1 reads only as fast as its one reader: a pause stops the socket. HTTP/2 has windows for that.
  void pause_reading();
  void resume_reading();

  http::Version version() const { return codec_->version(); }
  const net::Transport& transport() const { return *transport_; }
  bool is_reused() const { return streams_started_ > 1; }
  bool is_closed() const { return closing_; }
  uint64_t write_mark() const { return transport_->bytes_written(); }
  bool was_unseen_since(uint64_t mark) const { return transport_->was_unseen_since(mark); }
  bool has_room() const { return !closing_ && !is_used_up() && codec_->can_start(); }
  bool is_idle() const { return codec_->active_streams() == 0; }
  bool is_going_away() const { return closing_ || is_used_up() || codec_->is_going_away(); }
  bool is_draining() const { return draining_; }
  size_t active_streams() const { return codec_->active_streams(); }
  // HTTP/2: exactly as many as the peer allows, less a quarter, so that it is true once on the way up.
  bool is_filling_up() const {
    return version() == http::Version::http2 && active_streams() == codec_->streams_max() - codec_->streams_max() / 4;
  }
  void drain();  // take no more; close when idle
  void abort();  // now: what runs is reset

  Filing filing = Filing::none;  // the pool's: which of its lists this is on

 private:
  struct Release {
    http::ClientStream* stream;
    Code why;  // ok: detach
  };
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override;
  void on_closed(const Error& why) override;
  void flush() override;
  void on_idle_timeout();
  void on_max_duration();
  void on_keepalive();
  void on_minute();
  bool is_used_up() const;
  void let_go(http::ClientStream& stream, Code why);
  void end_codec_call();  // tells the codec what was let go meanwhile
  void after_event();     // what every edge ends with: write, file, close where due
  void count_failure(const Error& why);
  void lose(const Error& why, bool by_peer);
  void finish(bool by_peer);  // leaves the pool; the memory waits for the end of the turn

  ConnectionOwner& pool_;
  event::Executor& executor_;
  net::TransportPtr transport_;
  std::unique_ptr<http::ClientCodec> codec_;
  ConnectionSlot slot_;
  std::vector<Release> released_;  // while the codec was busy
  event::Timer idle_timer_;
  event::Timer age_timer_;
  event::Timer keepalive_timer_;  // HTTP/2, as the next
  event::Timer minute_timer_;
  uint32_t streams_started_ = 0;
  uint32_t pauses_ = 0;
  bool in_codec_ = false;
  bool pinged_ = false;
  bool draining_ = false;
  bool failure_counted_ = false;
  bool eof_seen_ = false;
  bool write_shut_ = false;
  bool closing_ = false;
};

}  // namespace pillion::upstream
