// Transport over a TCP socket. Writes are collected and leave once per turn; what the kernel did not take waits here
// for room. Reads land in the worker's current chunk, and in more of them at once where bulk arrives.
//
//   open ──► eof seen, write shut (each at most once) ──► closed: what is pending lingers at most kLinger, then RST
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "proxy/event/loop.h"
#include "proxy/event/poller.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class TcpTransport final : public Transport, public event::Flushable, public event::Steppable, event::SocketEvents {
 public:
  static constexpr size_t kReadBytesMin = 4 * 1024;  // room that a read must find in the chunk
  static constexpr uint32_t kReadChunksMax = 16;     // filled by one read of a connection that moves bulk
  static constexpr size_t kReadShareBytes = kReadChunksMax * ChunkPool::kChunkBytes;  // then others have their turn
  static constexpr Duration kLinger{5'000'000};

  // Takes over a connected socket. `events`: what the poller has told of it already, since it tells that once.
  TcpTransport(event::Loop& loop, event::SocketPtr socket, uint32_t events = 0);
  ~TcpTransport() override;

  void set_events(TransportEvents* events) override;
  void write(Chain&& bytes) override;
  size_t pending_write_bytes() const override;
  void shutdown_write() override;
  void close() override;
  void reset() override;
  void pause_reading() override;
  void resume_reading() override;
  Chain take_unread() override { return std::move(unread_); }
  const Address& peer_address() const override { return peer_; }
  const Address& local_address() const override { return local_; }
  uint64_t bytes_written() const override { return bytes_written_; }
  bool was_unseen_since(uint64_t mark) const override;
  int fd() const;  // -1 once closed

 private:
  void on_ready(uint32_t events) override;
  void flush() override;  // of the executor: once per turn
  void step() override;   // shows what was held back while paused, and goes on reading
  void note(uint32_t events);
  bool can_read() const;
  void read_share();
  ssize_t read_some();
  void read_ended(int error);
  void note_reset_behind_fin();
  void send_pending();
  void write_failed(int error);
  void break_off(const Error& why);
  void note_drained();
  void shut_when_empty();

  event::Loop& loop_;
  event::Executor& executor_;
  event::SocketPtr socket_;
  TransportEvents* events_ = nullptr;
  Address peer_;
  Address local_;
  Chain unread_;
  Chain output_;
  uint64_t bytes_written_ = 0;            // given to the transport
  std::optional<uint64_t> acknowledged_;  // by the peer, when the connection broke
  std::optional<Error> write_error_;      // the peer takes nothing more; what it sent before is still read
  uint32_t pauses_ = 0;
  uint32_t read_chunks_ = 1;  // how many the next read may fill
  bool readable_ = false;     // as far as we know
  bool writable_ = true;
  // A read that does not fill its room usually has emptied the socket. Not where a FIN, an error or urgent data lies
  // ahead, nor on a Unix socket, where each descriptor that was passed ends a read: there reads go on until EAGAIN.
  bool reads_stop_short_;
  bool above_high_ = false;
  bool unread_shown_ = false;  // as it is now, to who owns this now
  bool eof_seen_ = false;      // the FIN arrived
  bool eof_shown_ = false;
  bool shut_wanted_ = false;
  bool shut_sent_ = false;
  bool pipe_broke_ = false;  // EPIPE: the FIN came before the reset
};

// The socket must be connected and not blocking, and brings its options, such as TCP_NODELAY; it is owned from here on,
// also when this fails.
Expected<std::unique_ptr<TcpTransport>> adopt_socket(event::Loop& loop, int fd);

}  // namespace pillion::net
