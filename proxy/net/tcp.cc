#include "proxy/net/tcp.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "proxy/base/check.h"
#include "proxy/net/tcp_info.h"

namespace pillion::net {
namespace {

constexpr size_t kIovMax = 64;

Address address_of(const uv_tcp_t& tcp, decltype(&uv_tcp_getpeername) get) {
  sockaddr_storage storage{};
  int length = sizeof(storage);
  if (get(&tcp, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return {};
  return Address::from_sockaddr(reinterpret_cast<sockaddr*>(&storage)).value_or(Address());
}

size_t buffers_of(const Chain& chain, std::array<uv_buf_t, kIovMax>& out) {
  std::array<iovec, kIovMax> iov;
  const size_t n = chain.iov(iov);
  for (size_t i = 0; i < n; ++i) out[i] = uv_buf_init(static_cast<char*>(iov[i].iov_base), iov[i].iov_len);
  return n;
}

// The owner may have changed since the write was submitted: a closed transport hands its handle to a Lingering.
void write_done(uv_write_t* request, int status) {
  TcpHandle* handle = TcpHandle::of(request->handle);
  handle->extra.in_flight.clear();
  if (handle->owner != nullptr) handle->extra.on_written(handle->owner, status);
}

// A closed transport whose last bytes are still leaving. Ends with them, with the linger time, or with the loop.
class Lingering final : public event::Resident {
 public:
  Lingering(event::Loop& loop, TcpHandlePtr handle, Chain rest)
      : loop_(loop),
        handle_(std::move(handle)),
        rest_(std::move(rest)),
        timer_(event::Timer::bind<&Lingering::give_up>(this)) {
    handle_->owner = this;
    handle_->extra.on_written = [](void* owner, int status) {
      auto* self = static_cast<Lingering*>(owner);
      status < 0 ? self->give_up() : self->go_on();
    };
    timer_.start_after(loop_.executor().timers, TcpTransport::kLinger);
  }
  void go_on() {
    if (!handle_->extra.in_flight.empty()) return;  // its callback comes back here
    if (rest_.empty()) {
      loop_.release(*this);
      return;
    }
    handle_->extra.in_flight = std::move(rest_);
    submit();
  }

 private:
  void submit() {
    std::array<uv_buf_t, kIovMax> buffers;
    Chain& bytes = handle_->extra.in_flight;
    const size_t n = buffers_of(bytes, buffers);
    size_t covered = 0;
    for (size_t i = 0; i < n; ++i) covered += buffers[i].len;
    if (covered < bytes.size()) {
      Chain first;
      bytes.move_front(covered, first);
      rest_ = std::move(bytes);
      bytes = std::move(first);
    }
    if (uv_write(&handle_->extra.write, reinterpret_cast<uv_stream_t*>(&handle_->uv), buffers.data(), n, write_done) !=
        0) {
      bytes.clear();
      give_up();
    }
  }
  void give_up() {
    handle_->owner = nullptr;
    loop_.release(*this);
  }

  event::Loop& loop_;
  TcpHandlePtr handle_;
  Chain rest_;
  event::Timer timer_;
};

}  // namespace

TcpTransport::TcpTransport(event::Loop& loop, TcpHandlePtr handle)
    : loop_(loop),
      executor_(loop.executor()),
      handle_(std::move(handle)),
      peer_(address_of(handle_->uv, uv_tcp_getpeername)),
      local_(address_of(handle_->uv, uv_tcp_getsockname)) {
  handle_->owner = this;
  handle_->extra.on_written = [](void* owner, int status) { static_cast<TcpTransport*>(owner)->written(status); };
  uv_tcp_nodelay(&handle_->uv, 1);
}

TcpTransport::~TcpTransport() {
  close();
}

int TcpTransport::fd() const {
  uv_os_fd_t fd = -1;
  if (handle_ != nullptr) uv_fileno(handle_->as_handle(), &fd);
  return fd;
}

// === reading ===

void TcpTransport::set_events(TransportEvents* events) {
  events_ = events;
  if (events_ != nullptr && pauses_ == 0) start_reading();
  if (events_ != nullptr && (!unread_.empty() || eof_seen_)) executor_.ready(*this);
}

void TcpTransport::start_reading() {
  if (reading_ || eof_seen_ || handle_ == nullptr) return;
  reading_ = uv_read_start(stream(), on_alloc, on_read) == 0;
}

void TcpTransport::stop_reading() {
  if (reading_) uv_read_stop(stream());
  reading_ = false;
}

void TcpTransport::on_alloc(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  auto* self = static_cast<TcpTransport*>(TcpHandle::of(handle)->owner);
  if (self == nullptr) {
    *buffer = uv_buf_init(nullptr, 0);
    return;
  }
  Chunk* chunk = self->executor_.chunks.read_chunk(kReadBytesMin);
  self->reading_into_ = chunk;
  *buffer = uv_buf_init(chunk->data() + chunk->filled, chunk->capacity - chunk->filled);
}

void TcpTransport::on_read(uv_stream_t* stream, ssize_t count, const uv_buf_t*) {
  if (auto* self = static_cast<TcpTransport*>(TcpHandle::of(stream)->owner)) self->read_done(count);
}

void TcpTransport::read_done(ssize_t count) {
  if (count == 0) return;  // EAGAIN
  loop_.refresh_now();
  if (count < 0 && write_error_) return break_off(*write_error_);
  if (count == UV_EOF) {
    eof_seen_ = true;
    stop_reading();
    executor_.ready(*this);
    return;
  }
  if (count < 0) {
    break_off({Code::peer_reset, Side::local, Retry::never, static_cast<int>(-count), "reading"});
    return;
  }
  Chunk* chunk = reading_into_;
  const uint32_t begin = chunk->filled;
  chunk->filled += static_cast<uint32_t>(count);
  unread_.append_slice(chunk, begin, chunk->filled);
  if (events_ != nullptr && pauses_ == 0) events_->on_bytes(unread_);
}

// Shows what came while nobody could take it, then the end of it.
void TcpTransport::step() {
  if (events_ == nullptr || pauses_ > 0 || handle_ == nullptr) return;
  if (!unread_.empty()) events_->on_bytes(unread_);
  if (eof_seen_ && !eof_shown_ && events_ != nullptr && pauses_ == 0 && handle_ != nullptr) {
    eof_shown_ = true;
    note_reset_behind_fin();
    events_->on_eof();
  }
}

void TcpTransport::pause_reading() {
  // After a failed write there is only a rest to read, and only its end tells the owner.
  if (++pauses_ == 1 && !write_error_) stop_reading();
}

void TcpTransport::resume_reading() {
  PILLION_DCHECK(pauses_ > 0);
  if (--pauses_ > 0 || handle_ == nullptr) return;
  if (events_ != nullptr) start_reading();
  if (!unread_.empty() || (eof_seen_ && !eof_shown_)) executor_.ready(*this);
}

// === writing ===

size_t TcpTransport::pending_write_bytes() const {
  return output_.size() + (handle_ == nullptr ? 0 : handle_->extra.in_flight.size());
}

void TcpTransport::write(Chain&& bytes) {
  if (handle_ == nullptr || shut_wanted_ || write_error_) return;
  bytes_written_ += bytes.size();
  output_.append(std::move(bytes));
  if (is_congested()) above_high_ = true;
  executor_.dirty(*this);
}

void TcpTransport::flush() {
  send_pending();
}

void TcpTransport::send_pending() {
  if (handle_ == nullptr || !handle_->extra.in_flight.empty()) return;  // the write callback goes on
  std::array<uv_buf_t, kIovMax> buffers;
  while (!output_.empty()) {
    const size_t n = buffers_of(output_, buffers);
    const int written = uv_try_write(stream(), buffers.data(), n);
    if (written == UV_EAGAIN) break;
    if (written < 0) {
      write_failed(-written);
      return;
    }
    output_.drain(static_cast<size_t>(written));
  }
  if (!output_.empty()) {
    Chain& in_flight = handle_->extra.in_flight;
    const size_t n = buffers_of(output_, buffers);
    size_t covered = 0;
    for (size_t i = 0; i < n; ++i) covered += buffers[i].len;
    output_.move_front(covered, in_flight);
    const size_t again = buffers_of(in_flight, buffers);  // moving may have copied small slices together
    if (const int failed = uv_write(&handle_->extra.write, stream(), buffers.data(), again, write_done); failed != 0) {
      in_flight.clear();
      write_failed(-failed);
      return;
    }
  }
  note_drained();
  shut_when_empty();
}

void TcpTransport::written(int status) {
  loop_.refresh_now();
  if (status < 0) {
    write_failed(-status);
    return;
  }
  send_pending();
}

void TcpTransport::note_drained() {
  if (!above_high_ || pending_write_bytes() > kWriteHighBytes / 2) return;
  above_high_ = false;
  if (events_ != nullptr) events_->on_writable();
}

void TcpTransport::shutdown_write() {
  if (handle_ == nullptr || shut_wanted_) return;
  shut_wanted_ = true;
  executor_.dirty(*this);
}

void TcpTransport::shut_when_empty() {
  if (!shut_wanted_ || shut_sent_ || handle_ == nullptr || write_error_ || pending_write_bytes() > 0) return;
  shut_sent_ = true;
  // A failure means that the peer has reset; the read side tells that.
  uv_shutdown(&handle_->extra.shutdown, stream(), [](uv_shutdown_t*, int) {});
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
  note_drained();
}

void TcpTransport::break_off(const Error& why) {
  pipe_broke_ = pipe_broke_ || why.os == EPIPE;
  acknowledged_ = acknowledged_bytes(fd());
  stop_reading();
  event::Flushable::unlink();
  event::Steppable::unlink();
  output_.clear();
  handle_.reset();
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
  if (handle_ == nullptr) return;
  events_ = nullptr;
  stop_reading();
  event::Flushable::unlink();
  event::Steppable::unlink();
  send_pending();
  unread_.clear();
  if (handle_ != nullptr && pending_write_bytes() > 0 && !loop_.is_closing()) {
    auto lingering = std::make_unique<Lingering>(loop_, std::move(handle_), std::move(output_));
    Lingering* kept = lingering.get();
    loop_.adopt(std::move(lingering));
    kept->go_on();
    return;
  }
  handle_.reset();
}

void TcpTransport::reset() {
  if (handle_ == nullptr) return;
  events_ = nullptr;
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  stop_reading();
  event::Flushable::unlink();
  event::Steppable::unlink();
  output_.clear();
  unread_.clear();
  handle_.reset();
}

Expected<std::unique_ptr<TcpTransport>> adopt_socket(event::Loop& loop, int fd) {
  TcpHandlePtr handle = event::make_handle<uv_tcp_t, TcpWrites>(nullptr);
  int error = uv_tcp_init(loop.uv(), &handle->uv);
  if (error == 0) {
    handle->initialised = true;
    error = uv_tcp_open(&handle->uv, fd);
  }
  if (error != 0) {
    ::close(fd);
    return std::unexpected(Error{Code::resource_limit, Side::local, Retry::never, -error, "taking over a socket"});
  }
  return std::make_unique<TcpTransport>(loop, std::move(handle));
}

}  // namespace pillion::net
