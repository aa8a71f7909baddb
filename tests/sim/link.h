// A simulated TCP connection: two transports, each of one executor, and bytes on their way between them. It has what
// makes real ones hard: latency, writes cut into pieces, a window that fills when the reader is slow, FIN in one
// direction, RST, data for somebody who has closed, silence.
#pragma once

#include <cerrno>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "proxy/net/transport.h"
#include "tests/sim/world.h"

namespace pillion::sim {

struct LinkOptions {
  Duration latency{100};            // one way
  Duration jitter{};                // added, uniform; order is kept
  size_t piece_bytes_max = 0;       // writes arrive in pieces of 1 to so many bytes; 0 = as written
  size_t window_bytes = 64 * 1024;  // on the way and not read, before the writer's output waits
};

class LinkEnd;

// Shared by its two ends; dies with the last.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(World& world, const LinkOptions& options) : world_(world), options_(options) {
    directions_[0].owner = directions_[1].owner = this;
    directions_[1].index = 1;
  }

  // Nothing arrives any more, and nobody is told.
  void silence() { is_silent_ = true; }
  bool is_silent() const { return is_silent_; }
  LinkEnd* end(int index) const { return ends_[index]; }  // null once it is gone

 private:
  friend class LinkEnd;
  struct Piece {
    enum class Kind : uint8_t { bytes, fin, rst };
    Instant arrives;
    Kind kind;
    std::string bytes;
  };
  struct Direction {
    Link* owner = nullptr;
    int index = 0;  // from which end
    std::deque<Piece> pieces;
    size_t bytes_under_way = 0;
    Instant last_arrival{};
    event::Timer timer{event::Timer::bind<&Direction::on_due>(this)};
    void on_due() { owner->deliver(*this); }
  };

  void send(int from, Piece::Kind kind, std::string bytes) {
    Direction& d = directions_[from];
    Instant at = world_.now() + options_.latency;
    if (options_.jitter.count() > 0) {
      at += Duration{static_cast<int64_t>(world_.random.below(static_cast<uint64_t>(options_.jitter.count()) + 1))};
    }
    d.last_arrival = std::max(at, d.last_arrival);
    d.bytes_under_way += bytes.size();
    d.pieces.push_back({d.last_arrival, kind, std::move(bytes)});
    if (!d.timer.is_armed()) d.timer.start(world_.network, d.pieces.front().arrives);
  }
  inline void deliver(Direction& d);

  World& world_;
  const LinkOptions options_;
  Direction directions_[2];
  LinkEnd* ends_[2] = {nullptr, nullptr};
  bool is_silent_ = false;
};

class LinkEnd final : public net::Transport, private event::Steppable {
 public:
  LinkEnd(std::shared_ptr<Link> link, int index, event::Executor& executor, Address local, Address peer)
      : link_(std::move(link)), index_(index), executor_(executor), local_(std::move(local)), peer_(std::move(peer)) {
    link_->ends_[index_] = this;
  }
  ~LinkEnd() override {
    close();
    link_->ends_[index_] = nullptr;
  }

  void set_events(net::TransportEvents* events) override {
    events_ = events;
    if (events_ != nullptr && has_something_to_show()) executor_.ready(*this);
  }
  void write(Chain&& bytes) override {
    if (closed_ || fin_wanted_) return;
    bytes_written_ += bytes.size();
    output_ += bytes.to_string();
    bytes.clear();
    pump();
    above_high_ = above_high_ || is_congested();
  }
  size_t pending_write_bytes() const override { return never_congested ? 0 : held_bytes(); }
  size_t held_bytes() const { return output_.size() - output_begin_; }  // written and not on its way
  void shutdown_write() override {
    if (closed_ || fin_wanted_) return;
    fin_wanted_ = true;
    pump();
  }
  void close() override {
    if (closed_) return;
    closed_ = true;
    events_ = nullptr;
    // Like a socket: closing with unread bytes resets.
    if (!unread_.empty()) return send_reset();
    fin_wanted_ = true;
    pump();
  }
  void reset() override {
    if (closed_) return;
    closed_ = true;
    events_ = nullptr;
    send_reset();
  }
  void pause_reading() override { ++pauses_; }
  void resume_reading() override {
    PILLION_CHECK(pauses_ > 0);
    if (--pauses_ == 0 && has_something_to_show()) executor_.ready(*this);
  }
  Chain take_unread() override { return std::move(unread_); }
  const Address& peer_address() const override { return peer_; }
  const Address& local_address() const override { return local_; }
  const net::TlsInfo* tls() const override { return tls_ ? &*tls_ : nullptr; }
  uint64_t bytes_written() const override { return bytes_written_; }
  bool was_unseen_since(uint64_t mark) const override { return fin_arrived_ && acknowledged_ <= mark; }

  const event::Executor& executor() const { return executor_; }
  size_t unread_bytes() const { return unread_.size(); }
  bool never_congested = false;  // a fault to plant: says that nothing waits to be written, whatever waits

  void set_tls(net::TlsInfo info) { tls_ = std::move(info); }
  Link& link() { return *link_; }
  bool is_closed() const { return closed_ || broke_; }

 private:
  friend class Link;
  bool has_something_to_show() const {
    return !closed_ && pauses_ == 0 && (!unread_.empty() || (fin_arrived_ && !eof_shown_) || broken_);
  }
  LinkEnd* other() const { return link_->ends_[1 - index_]; }

  // Output goes on its way as far as the window allows.
  // A closed end has nobody who waits: it all leaves at once.
  void pump() {
    Link::Direction& d = link_->directions_[index_];
    const size_t held = other() == nullptr ? 0 : other()->unread_.size();
    size_t window = link_->options_.window_bytes;
    window = window > d.bytes_under_way + held ? window - d.bytes_under_way - held : 0;
    if (closed_) window = held_bytes();
    while (held_bytes() > 0 && window > 0) {
      size_t n = std::min(held_bytes(), window);
      if (const size_t most = link_->options_.piece_bytes_max; most > 0) {
        n = std::min<size_t>(n, 1 + link_->world_.random.below(most));
      }
      link_->send(index_, Link::Piece::Kind::bytes, output_.substr(output_begin_, n));
      output_begin_ += n;
      window -= n;
    }
    if (output_begin_ > output_.size() / 2) {
      output_.erase(0, output_begin_);
      output_begin_ = 0;
    }
    if (output_.empty() && fin_wanted_ && !fin_sent_) {
      fin_sent_ = true;
      link_->send(index_, Link::Piece::Kind::fin, {});
    }
    if (above_high_ && !closed_ && held_bytes() <= kWriteHighBytes / 2) {
      above_high_ = false;
      writable_due_ = true;
      executor_.ready(*this);
    }
  }
  void drop_output() {
    output_.clear();
    output_begin_ = 0;
  }
  void send_reset() {
    drop_output();
    link_->send(index_, Link::Piece::Kind::rst, {});
  }

  void arrive(Link::Piece& piece) {
    switch (piece.kind) {
      case Link::Piece::Kind::bytes:
        if (closed_) return send_reset();  // nobody reads them
        if (other() != nullptr) other()->acknowledged_ += piece.bytes.size();
        read(piece.bytes);
        break;
      case Link::Piece::Kind::fin: fin_arrived_ = true; break;
      case Link::Piece::Kind::rst:
        broken_ = Error{Code::peer_reset, Side::upstream, Retry::if_reused, ECONNRESET, "reading"};
        drop_output();
        break;
    }
    if (has_something_to_show()) executor_.ready(*this);
  }

  // As from a socket: into the chunk that all connections of the executor share.
  void read(std::string_view bytes) {
    while (!bytes.empty()) {
      Chunk* const chunk = executor_.chunks.read_chunk(1);
      const size_t n = std::min<size_t>(bytes.size(), chunk->capacity - chunk->filled);
      bytes.copy(chunk->data() + chunk->filled, n);
      chunk->filled += static_cast<uint32_t>(n);
      unread_.append_slice(chunk, chunk->filled - static_cast<uint32_t>(n), chunk->filled);
      bytes.remove_prefix(n);
    }
  }

  // Shows what came, on the executor's own turn.
  void step() override {
    if (std::exchange(writable_due_, false) && events_ != nullptr && !broken_) events_->on_writable();
    if (events_ == nullptr || !has_something_to_show()) return;
    if (!unread_.empty()) {
      const size_t before = unread_.size();
      events_->on_bytes(unread_);
      if (unread_.size() < before && other() != nullptr) other()->pump();
      if (events_ == nullptr || pauses_ > 0) return;
    }
    if (broken_) {
      broke_ = true;
      std::exchange(events_, nullptr)->on_closed(*std::exchange(broken_, std::nullopt));
    } else if (fin_arrived_ && !eof_shown_) {
      eof_shown_ = true;
      events_->on_eof();
    }
  }

  std::shared_ptr<Link> link_;
  const int index_;
  event::Executor& executor_;
  const Address local_;
  const Address peer_;
  std::optional<net::TlsInfo> tls_;
  net::TransportEvents* events_ = nullptr;
  Chain unread_;
  std::string output_;
  size_t output_begin_ = 0;  // what is before it is on its way
  uint64_t bytes_written_ = 0;
  uint64_t acknowledged_ = 0;  // of what was written
  uint32_t pauses_ = 0;
  std::optional<Error> broken_;  // to be shown
  bool broke_ = false;
  bool fin_wanted_ = false;
  bool fin_sent_ = false;
  bool fin_arrived_ = false;
  bool eof_shown_ = false;
  bool above_high_ = false;
  bool writable_due_ = false;
  bool closed_ = false;
};

inline void Link::deliver(Direction& d) {
  const std::shared_ptr<Link> self = shared_from_this();
  if (is_silent_) return;
  while (!d.pieces.empty() && d.pieces.front().arrives <= world_.now()) {
    Piece piece = std::move(d.pieces.front());
    d.pieces.pop_front();
    world_.trace(static_cast<uint64_t>(piece.kind) << 1 | static_cast<uint64_t>(d.index), piece.bytes.size());
    d.bytes_under_way -= piece.bytes.size();
    LinkEnd* const to = ends_[1 - d.index];
    if (to != nullptr) {
      to->arrive(piece);
    } else if (piece.kind == Piece::Kind::bytes && ends_[d.index] != nullptr) {
      send(1 - d.index, Piece::Kind::rst, {});
    }
  }
  if (LinkEnd* const from = ends_[d.index]) from->pump();
  if (!d.pieces.empty() && !d.timer.is_armed()) d.timer.start(world_.network, d.pieces.front().arrives);
}

struct LinkPair {
  std::unique_ptr<LinkEnd> client, server;
};
inline LinkPair make_link(World& world, const LinkOptions& options, event::Executor& client, event::Executor& server,
                          const Address& client_address, const Address& server_address) {
  auto link = std::make_shared<Link>(world, options);
  return {std::make_unique<LinkEnd>(link, 0, client, client_address, server_address),
          std::make_unique<LinkEnd>(link, 1, server, server_address, client_address)};
}

}  // namespace pillion::sim
