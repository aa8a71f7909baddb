#include "proxy/net/tcp.h"

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "proxy/base/check.h"
#include "proxy/net/tcp_info.h"

namespace pillion::net {
namespace {

constexpr size_t kIovMax = 64;

Address address_of(int fd, decltype(&getpeername) get) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (get(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)).value_or(Address());
}

// Writes from the front of the chain until it is empty or the kernel takes no more. Returns 0, EAGAIN, or the error.
int send_from(int fd, Chain& bytes) {
  while (!bytes.empty()) {
    std::array<iovec, kIovMax> iov;
    const size_t slices = bytes.iov(iov);
    ssize_t sent;
    if (slices == 1) {
      sent = ::send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    } else {
      const msghdr message{.msg_iov = iov.data(), .msg_iovlen = slices};
      sent = ::sendmsg(fd, &message, MSG_NOSIGNAL);
    }
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    size_t offered = 0;
    for (size_t i = 0; i < slices; ++i) offered += iov[i].iov_len;
    bytes.drain(static_cast<size_t>(sent));
    if (static_cast<size_t>(sent) < offered) return EAGAIN;  // the rest would be refused: EPOLLOUT comes
  }
  return 0;
}

// A closed transport whose last bytes are still leaving. Ends with them, with the linger time, or with the loop.
class Lingering final : public event::Resident, event::SocketEvents {
 public:
  Lingering(event::Loop& loop, event::SocketPtr socket, Chain rest)
      : loop_(loop),
        socket_(std::move(socket)),
        rest_(std::move(rest)),
        timer_(event::Timer::bind<&Lingering::end>(this)) {
    socket_->owner = this;
    timer_.start_after(loop_.executor().timers, TcpTransport::kLinger);
  }

 private:
  void on_ready(uint32_t events) override {
    if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) == 0) return;
    if (send_from(socket_->fd(), rest_) != EAGAIN) end();
  }
  void end() {
    socket_.reset();
    timer_.stop();
    rest_.clear();
    loop_.release(*this);
  }

  event::Loop& loop_;
  event::SocketPtr socket_;
  Chain rest_;
  event::Timer timer_;
};

}  // namespace

TcpTransport::TcpTransport(event::Loop& loop, event::SocketPtr socket, uint32_t events)
    : loop_(loop),
      executor_(loop.executor()),
      socket_(std::move(socket)),
      peer_(address_of(socket_->fd(), getpeername)),
      local_(address_of(socket_->fd(), getsockname)),
      reads_stop_short_(!peer_.is_ip()) {
  socket_->owner = this;
  note(events);
}

TcpTransport::~TcpTransport() {
  close();
}

int TcpTransport::fd() const {
  return socket_ == nullptr ? -1 : socket_->fd();
}

void TcpTransport::note(uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR | EPOLLPRI)) != 0) reads_stop_short_ = true;
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) readable_ = true;
}

void TcpTransport::on_ready(uint32_t events) {
  note(events);
  if ((events & EPOLLOUT) != 0 && !writable_) {
    writable_ = true;
    executor_.dirty(*this);
  }
  read_share();
}

// === reading ===

void TcpTransport::set_events(TransportEvents* events) {
  events_ = events;
  unread_shown_ = false;
  if (events_ != nullptr && (!unread_.empty() || eof_seen_ || readable_)) executor_.ready(*this);
}

// After a failed write there is only a rest to read, and only its end tells the owner: pauses do not count.
bool TcpTransport::can_read() const {
  return readable_ && !eof_seen_ && socket_ != nullptr && events_ != nullptr && (pauses_ == 0 || write_error_);
}

// One turn's share. Edge-triggered: as long as something may be left, we must come back by ourselves.
void TcpTransport::read_share() {
  for (size_t taken = 0; can_read();) {
    if (taken >= kReadShareBytes / 2) return socket_->again();
    const ssize_t count = read_some();
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return read_ended(count == 0 ? 0 : errno);
    taken += static_cast<size_t>(count);
    unread_shown_ = pauses_ == 0;
    if (unread_shown_) events_->on_bytes(unread_);
  }
}

// One read into the worker's current chunk and, for bulk, into fresh ones behind it.
ssize_t TcpTransport::read_some() {
  std::array<Chunk*, kReadChunksMax> chunks;
  std::array<iovec, kReadChunksMax> iov;
  chunks[0] = executor_.chunks.read_chunk(kReadBytesMin);
  iov[0] = {chunks[0]->data() + chunks[0]->filled, chunks[0]->capacity - chunks[0]->filled};
  size_t room = iov[0].iov_len;
  for (uint32_t i = 1; i < read_chunks_; ++i) {
    chunks[i] = executor_.chunks.acquire();
    iov[i] = {chunks[i]->data(), chunks[i]->capacity};
    room += iov[i].iov_len;
  }
  ssize_t count;
  do {
    count = read_chunks_ == 1 ? ::recv(fd(), iov[0].iov_base, iov[0].iov_len, 0)
                              : ::readv(fd(), iov.data(), static_cast<int>(read_chunks_));
  } while (count < 0 && errno == EINTR);
  const int error = errno;
  size_t left = count > 0 ? static_cast<size_t>(count) : 0;
  const bool filled = left == room;
  const bool is_drained = count < 0 && error == EAGAIN;
  if (is_drained || (!filled && !reads_stop_short_)) readable_ = false;  // what follows has an event of its own
  for (uint32_t i = 0; i < read_chunks_; ++i) {
    const auto n = static_cast<uint32_t>(std::min(left, iov[i].iov_len));
    const uint32_t begin = chunks[i]->filled;
    chunks[i]->filled += n;
    unread_.append_slice(chunks[i], begin, begin + n);
    if (i > 0) executor_.chunks.release(chunks[i]);
    left -= n;
  }
  if (filled) {
    read_chunks_ = std::min(read_chunks_ * 4, kReadChunksMax);
  } else if (count > 0 && static_cast<size_t>(count) <= room / 8) {
    read_chunks_ = std::max(read_chunks_ / 2, 1U);
  }
  errno = error;
  return count;
}

void TcpTransport::read_ended(int error) {
  if (write_error_) return break_off(*write_error_);
  if (error != 0) return break_off({Code::peer_reset, Side::local, Retry::never, error, "reading"});
  eof_seen_ = true;
  executor_.ready(*this);
}

// Shows what came while nobody could take it, or the end. What the owner makes ready by that, such as an answer, is
// done before more is read: the rest is for the next turn, and the end for the next step.
void TcpTransport::step() {
  if (write_error_ && can_read()) return socket_->again();
  if (events_ == nullptr || pauses_ > 0 || socket_ == nullptr) return;
  const bool shows_now = !unread_.empty() && !unread_shown_;
  unread_shown_ = true;
  if (shows_now) events_->on_bytes(unread_);
  if (socket_ == nullptr) return;
  if (readable_ && !eof_seen_) return socket_->again();
  if (!eof_seen_ || eof_shown_ || events_ == nullptr || pauses_ > 0) return;
  if (shows_now) return executor_.ready(*this);
  eof_shown_ = true;
  note_reset_behind_fin();
  events_->on_eof();
}

void TcpTransport::pause_reading() {
  ++pauses_;
}

void TcpTransport::resume_reading() {
  PILLION_DCHECK(pauses_ > 0);
  if (--pauses_ > 0 || socket_ == nullptr) return;
  unread_shown_ = false;
  if (!unread_.empty() || readable_ || (eof_seen_ && !eof_shown_)) executor_.ready(*this);
}

// === writing ===

size_t TcpTransport::pending_write_bytes() const {
  return output_.size();
}

void TcpTransport::write(Chain&& bytes) {
  if (socket_ == nullptr || shut_wanted_ || write_error_) return;
  bytes_written_ += bytes.size();
  output_.append(std::move(bytes));
  if (is_congested()) above_high_ = true;
  executor_.dirty(*this);
}

void TcpTransport::flush() {
  send_pending();
}

void TcpTransport::send_pending() {
  if (socket_ == nullptr) return;
  if (writable_) {
    const int error = send_from(fd(), output_);
    if (error == EAGAIN) {
      writable_ = false;
    } else if (error != 0) {
      return write_failed(error);
    }
  }
  note_drained();
  shut_when_empty();
}

void TcpTransport::note_drained() {
  if (!above_high_ || pending_write_bytes() > kWriteHighBytes / 2) return;
  above_high_ = false;
  if (events_ != nullptr) events_->on_writable();
}

void TcpTransport::shutdown_write() {
  if (socket_ == nullptr || shut_wanted_) return;
  shut_wanted_ = true;
  executor_.dirty(*this);
}

void TcpTransport::shut_when_empty() {
  if (!shut_wanted_ || shut_sent_ || socket_ == nullptr || write_error_ || pending_write_bytes() > 0) return;
  shut_sent_ = true;
  // A failure means that the peer has reset; the read side tells that.
  ::shutdown(fd(), SHUT_WR);
}

// === the end ===

// What the peer said before it reset may still wait to be read, such as an early answer or an alert of TLS: reading
// goes on, and its end is then told with this error. Who does not read now is told at once.
void TcpTransport::write_failed(int error) {
  const Error why{Code::peer_reset, Side::local, Retry::never, error, "writing"};
  const bool is_reset = error == EPIPE || error == ECONNRESET;
  if (!is_reset || events_ == nullptr || eof_seen_ || pauses_ > 0) return break_off(why);
  write_error_ = why;
  output_.clear();
  if (readable_) executor_.ready(*this);
  note_drained();
}

void TcpTransport::break_off(const Error& why) {
  pipe_broke_ = pipe_broke_ || why.os == EPIPE;
  acknowledged_ = acknowledged_bytes(fd());
  event::Flushable::unlink();
  event::Steppable::unlink();
  output_.clear();
  socket_.reset();
  if (events_ != nullptr) events_->on_closed(why);
}

// What was written after the peer had closed is answered by a reset, which hides behind the FIN that is read first.
void TcpTransport::note_reset_behind_fin() {
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != EPIPE) return;
  pipe_broke_ = true;
  acknowledged_ = acknowledged_bytes(fd());
}

// The kernel counts the SYN as one acknowledged byte, and the FIN too where one was sent.
bool TcpTransport::was_unseen_since(uint64_t mark) const {
  if (write_error_ && mark >= bytes_written_) return true;  // nothing was written since
  return pipe_broke_ && acknowledged_ && *acknowledged_ <= mark + 1;
}

void TcpTransport::close() {
  if (socket_ == nullptr) return;
  events_ = nullptr;
  event::Flushable::unlink();
  event::Steppable::unlink();
  send_pending();
  unread_.clear();
  if (socket_ != nullptr && pending_write_bytes() > 0 && !loop_.is_closing()) {
    auto lingering = std::make_unique<Lingering>(loop_, std::move(socket_), std::move(output_));
    loop_.adopt(std::move(lingering));
    return;
  }
  socket_.reset();
}

void TcpTransport::reset() {
  if (socket_ == nullptr) return;
  events_ = nullptr;
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  event::Flushable::unlink();
  event::Steppable::unlink();
  output_.clear();
  unread_.clear();
  socket_.reset();
}

Expected<std::unique_ptr<TcpTransport>> adopt_socket(event::Loop& loop, int fd) {
  event::SocketPtr socket = loop.poller().add(fd);
  if (socket == nullptr) {
    return std::unexpected(Error{Code::resource_limit, Side::local, Retry::never, errno, "taking over a socket"});
  }
  return std::make_unique<TcpTransport>(loop, std::move(socket));
}

}  // namespace pillion::net
