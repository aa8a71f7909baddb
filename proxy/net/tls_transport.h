// Transport over another one, whose records it makes and reads. Plaintext waits until the end of the turn and then
// leaves in records as large as there are bytes; what arrives is decrypted at once and never kept back as ciphertext.
//
// A FIN without close_notify is an on_eof like any other: messages with a length or chunks notice that they were cut,
// and a body that ends with the connection cannot (Envoy does the same).
#pragma once

#include <array>
#include <memory>
#include <optional>

#include "proxy/event/executor.h"
#include "proxy/event/timer_queue.h"
#include "proxy/net/tls_engine.h"
#include "proxy/net/transport.h"

namespace pillion::net {

class TlsTransport final : public Transport, TransportEvents, event::Flushable, event::Steppable {
 public:
  static constexpr Duration kIdleAfter{1'000'000};  // then OpenSSL's record buffers are given back, some 34 KiB
  static constexpr size_t kMarks = 8;               // flushes that was_unseen_since() can tell apart

  // After the handshake. `lower` may hold bytes still.
  // `lower_ended`, `lower_broken`: what the handshake was told of the end of `lower`, behind bytes that it left to us.
  TlsTransport(event::Executor& executor, TransportPtr lower, std::unique_ptr<TlsEngine> engine, bool lower_ended,
               const std::optional<Error>& lower_broken);
  ~TlsTransport() override;

  void set_events(TransportEvents* events) override;
  void write(Chain&& bytes) override;
  size_t pending_write_bytes() const override { return output_.size() + lower_->pending_write_bytes(); }
  void shutdown_write() override;
  void close() override;
  void reset() override;
  void pause_reading() override;
  void resume_reading() override;
  Chain take_unread() override { return std::move(unread_); }
  const Address& peer_address() const override { return lower_->peer_address(); }
  const Address& local_address() const override { return lower_->local_address(); }
  const TlsInfo* tls() const override { return info_.get(); }
  uint64_t bytes_written() const override { return bytes_written_; }
  bool was_unseen_since(uint64_t mark) const override;
  const TlsEngine& engine() const { return *engine_; }

 private:
  // Where in the stream below the record begins that carries a byte of ours.
  struct Mark {
    uint64_t plain = 0;
    uint64_t cipher = 0;
  };

  void on_bytes(Chain& in) override;  // of the transport below
  void on_eof() override;
  void on_writable() override;
  void on_closed(const Error& why) override;
  void step() override;
  void flush() override;
  void on_idle();
  bool is_open() const { return !is_closed_; }
  bool can_show() const { return is_open() && events_ != nullptr && pauses_ == 0; }
  void read_records();
  void show();
  bool send_pending();
  void send_ciphertext();
  void note_drained();
  void break_off(const Error& why);
  void leave();

  event::Executor& executor_;
  TransportPtr lower_;
  std::unique_ptr<TlsEngine> engine_;
  std::shared_ptr<const TlsInfo> info_;
  TransportEvents* events_ = nullptr;
  event::Timer idle_timer_;
  Chain unread_;  // plaintext
  Chain output_;  // plaintext
  uint64_t bytes_written_ = 0;
  std::array<Mark, kMarks> marks_{};  // a ring
  uint32_t marks_made_ = 0;
  uint32_t pauses_ = 0;
  std::optional<Error> broken_;  // found where it could not be told yet
  bool above_high_ = false;
  bool lower_ended_;
  std::optional<Error> lower_broken_;
  bool eof_seen_ = false;
  bool eof_shown_ = false;
  bool shut_wanted_ = false;
  bool shut_sent_ = false;
  bool is_closed_ = false;
};

}  // namespace pillion::net
