// Two transports that are each other's peer, without sockets: what one writes the other is shown in pieces of a chosen
// size, from the executor. For the transports and handshakes that sit on top of another one.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/event/executor.h"
#include "proxy/net/transport.h"

namespace pillion::net::test {

class MemoryTransport final : public Transport, event::Steppable {
 public:
  MemoryTransport(event::Executor& executor, size_t piece)
      : executor_(executor), piece_(piece), address_(*Address::parse("127.0.0.1:443")) {}
  ~MemoryTransport() override { close(); }
  static void join(MemoryTransport& a, MemoryTransport& b) {
    a.peer_ = &b;
    b.peer_ = &a;
  }

  void set_events(TransportEvents* events) override {
    events_ = events;
    executor_.ready(*this);
  }
  void write(Chain&& bytes) override {
    if (is_closed_ || peer_ == nullptr) return;
    written_ += bytes.size();
    peer_->arriving_.append(std::move(bytes));
    if (is_congested()) above_high_ = true;
    executor_.ready(*peer_);
  }
  size_t pending_write_bytes() const override { return peer_ == nullptr ? 0 : peer_->arriving_.size(); }
  void shutdown_write() override {
    if (peer_ == nullptr || is_closed_) return;
    peer_->eof_coming_ = true;
    executor_.ready(*peer_);
  }
  void close() override {
    if (is_closed_) return;
    shutdown_write();
    leave();
  }
  void reset() override {
    if (is_closed_) return;
    if (peer_ != nullptr) peer_->break_with_reset();
    leave();
  }
  void pause_reading() override { ++pauses_; }
  void resume_reading() override {
    if (--pauses_ == 0) executor_.ready(*this);
  }
  // The peer's reset, read right behind everything that has arrived.
  void break_behind_bytes() {
    eof_coming_ = true;
    eof_is_reset_ = true;
    executor_.ready(*this);
  }
  Chain take_unread() override { return std::move(unread_); }
  const Address& peer_address() const override { return address_; }
  const Address& local_address() const override { return address_; }
  uint64_t bytes_written() const override { return written_; }
  bool was_unseen_since(uint64_t mark) const override {
    asked_mark = mark;
    return unseen_after <= mark;
  }

  mutable uint64_t asked_mark = 0;
  uint64_t unseen_after = UINT64_MAX;  // what was acknowledged
  size_t shown = 0;                    // bytes

 private:
  void leave() {
    is_closed_ = true;
    events_ = nullptr;
    event::Steppable::unlink();
    if (peer_ != nullptr) peer_->peer_ = nullptr;
    peer_ = nullptr;
    arriving_.clear();
    unread_.clear();
  }
  void break_with_reset() {
    reset_coming_ = true;
    executor_.ready(*this);
  }
  // One piece per step, so that much happens between two pieces.
  void step() override {
    if (is_closed_ || events_ == nullptr) return;
    if (reset_coming_) {
      TransportEvents* events = events_;
      leave();
      events->on_closed({Code::peer_reset, Side::local, Retry::never, 104, "reading"});
      return;
    }
    if (std::exchange(writable_, false)) events_->on_writable();
    if (pauses_ > 0 || is_closed_ || events_ == nullptr) return;
    const size_t n = std::min(piece_, arriving_.size());
    arriving_.move_front(n, unread_);
    shown += n;
    if (peer_ != nullptr && peer_->above_high_ && arriving_.size() < kWriteHighBytes / 2) {
      peer_->above_high_ = false;
      peer_->writable_ = true;
      executor_.ready(*peer_);
    }
    if (!arriving_.empty() || eof_coming_) executor_.ready(*this);
    if (n > 0) {
      events_->on_bytes(unread_);
    } else if (arriving_.empty() && eof_coming_) {
      eof_coming_ = false;
      event::Steppable::unlink();
      if (!eof_is_reset_) return events_->on_eof();
      TransportEvents* events = events_;
      leave();
      events->on_closed({Code::peer_reset, Side::local, Retry::never, 104, "reading"});
    }
  }

  event::Executor& executor_;
  size_t piece_;
  Address address_;
  MemoryTransport* peer_ = nullptr;
  TransportEvents* events_ = nullptr;
  Chain arriving_;
  Chain unread_;
  uint64_t written_ = 0;
  int pauses_ = 0;
  bool eof_coming_ = false;
  bool eof_is_reset_ = false;
  bool reset_coming_ = false;
  bool above_high_ = false;
  bool writable_ = false;
  bool is_closed_ = false;
};

}  // namespace pillion::net::test
