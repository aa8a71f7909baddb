// Transport over a TCP socket. Writes are collected and leave once per turn, early when much is pending; the rest that
// the kernel did not take waits in the handle's block, so that libuv never looks at memory that is gone.
//
//   open ──► eof seen, write shut (each at most once) ──► closed: what is pending lingers at most kLinger, then RST
#pragma once

#include <uv.h>

#include <memory>
#include <optional>

#include "proxy/event/handle.h"
#include "proxy/event/loop.h"
#include "proxy/net/transport.h"

namespace pillion::net {

// Lives exactly as long as the uv handle: what libuv may still be writing.
struct TcpWrites {
  uv_write_t write{};
  uv_shutdown_t shutdown{};
  uv_connect_t connect{};
  Chain in_flight;
  void (*on_written)(void* owner, int status) = nullptr;  // of whoever owns the handle by then
};
using TcpHandle = event::Handle<uv_tcp_t, TcpWrites>;
using TcpHandlePtr = event::HandlePtr<uv_tcp_t, TcpWrites>;

class TcpTransport final : public Transport, public event::Flushable, public event::Steppable {
 public:
  static constexpr size_t kReadBytesMin = 4 * 1024;       // room that a read must find in the chunk
  static constexpr size_t kWriteEarlyBytes = 256 * 1024;  // pending output that does not wait for the end of the turn
  static constexpr Duration kLinger{5'000'000};

  // Takes over a connected handle.
  TcpTransport(event::Loop& loop, TcpHandlePtr handle);
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
  static void on_alloc(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer);
  static void on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer);
  void written(int status);
  void note_reset_behind_fin();
  void flush() override;  // of the executor: once per turn
  void step() override;   // shows what was held back while paused
  void read_done(ssize_t count);
  void start_reading();
  void stop_reading();
  void send_pending();
  void write_failed(int error);
  void break_off(const Error& why);
  void note_drained();
  void shut_when_empty();
  uv_stream_t* stream() const { return reinterpret_cast<uv_stream_t*>(&handle_->uv); }

  event::Loop& loop_;
  event::Executor& executor_;
  TcpHandlePtr handle_;
  TransportEvents* events_ = nullptr;
  Address peer_;
  Address local_;
  Chain unread_;
  Chain output_;
  Chunk* reading_into_ = nullptr;
  uint64_t bytes_written_ = 0;            // given to the transport
  std::optional<uint64_t> acknowledged_;  // by the peer, when the connection broke
  std::optional<Error> write_error_;      // the peer takes nothing more; what it sent before is still read
  uint32_t pauses_ = 0;
  bool reading_ = false;
  bool above_high_ = false;
  bool eof_seen_ = false;  // the FIN arrived
  bool eof_shown_ = false;
  bool shut_wanted_ = false;
  bool shut_sent_ = false;
  bool pipe_broke_ = false;  // EPIPE: the FIN came before the reset
};

// The socket must be connected and not blocking; it is owned from here on, also when this fails.
Expected<std::unique_ptr<TcpTransport>> adopt_socket(event::Loop& loop, int fd);

}  // namespace pillion::net
