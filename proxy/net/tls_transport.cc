#include "proxy/net/tls_transport.h"

#include <openssl/pem.h>

#include <algorithm>

#include "proxy/base/check.h"
#include "proxy/net/tls.h"

namespace pillion::net {

TlsTransport::TlsTransport(event::Executor& executor, TransportPtr lower, std::unique_ptr<TlsEngine> engine,
                           bool lower_ended, const std::optional<Error>& lower_broken)
    : executor_(executor),
      lower_(std::move(lower)),
      engine_(std::move(engine)),
      info_(engine_->describe()),
      idle_timer_(event::Timer::bind<&TlsTransport::on_idle>(this)),
      lower_ended_(lower_ended),
      lower_broken_(lower_broken) {
  idle_timer_.start_after(executor_.timers, kIdleAfter);
}

TlsTransport::~TlsTransport() {
  close();
}

void TlsTransport::set_events(TransportEvents* events) {
  events_ = events;
  if (events_ == nullptr || is_closed_) return;
  lower_->set_events(this);
  executor_.ready(*this);
}

// === reading ===

void TlsTransport::on_bytes(Chain& in) {
  engine_->cipher_in.append(std::move(in));
  read_records();
  show();
}

void TlsTransport::read_records() {
  if (eof_seen_ || broken_ || is_closed_) {
    engine_->cipher_in.clear();  // behind a close_notify nothing counts
    return;
  }
  if (engine_->cipher_in.empty() && !engine_->has_pending()) return;
  const TlsEngine::Result result = engine_->decrypt(unread_);
  idle_timer_.start_after(executor_.timers, kIdleAfter);
  if (result == TlsEngine::Result::closed) {
    eof_seen_ = true;
    engine_->cipher_in.clear();
  } else if (result == TlsEngine::Result::failed) {
    broken_ = Error{Code::tls_failed, Side::local, Retry::never, 0, "reading TLS records"};
  }
  if (!engine_->cipher_out.empty()) send_ciphertext();  // an alert, or the answer to a key update
}

// What can be told now, in order: bytes, the end, what broke. Each event may close or pause this.
void TlsTransport::show() {
  if (can_show() && !unread_.empty()) events_->on_bytes(unread_);
  if (can_show() && eof_seen_ && !eof_shown_) {
    eof_shown_ = true;
    events_->on_eof();
  }
  if (is_open() && events_ != nullptr && broken_) break_off(*broken_);
}

void TlsTransport::step() {
  read_records();
  if (lower_broken_ && !broken_) {
    broken_ = lower_broken_;
  } else if (lower_ended_) {
    eof_seen_ = true;
  }
  show();
}

// What the handshake left undecrypted came before the end of the stream.
void TlsTransport::on_eof() {
  read_records();
  eof_seen_ = true;
  show();
}

void TlsTransport::pause_reading() {
  if (++pauses_ == 1 && is_open()) lower_->pause_reading();
}

void TlsTransport::resume_reading() {
  PILLION_DCHECK(pauses_ > 0);
  if (--pauses_ > 0 || is_closed_) return;
  lower_->resume_reading();
  if (!unread_.empty() || engine_->has_pending() || (eof_seen_ && !eof_shown_)) executor_.ready(*this);
}

// === writing ===

void TlsTransport::write(Chain&& bytes) {
  if (is_closed_ || shut_wanted_) return;
  bytes_written_ += bytes.size();
  output_.append(std::move(bytes));
  if (is_congested()) above_high_ = true;
  executor_.dirty(*this);
}

void TlsTransport::shutdown_write() {
  if (is_closed_ || shut_wanted_) return;
  shut_wanted_ = true;
  executor_.dirty(*this);
}

void TlsTransport::flush() {
  if (is_closed_) return;
  if (!send_pending()) {
    break_off({Code::tls_failed, Side::local, Retry::never, 0, "writing TLS records"});
    return;
  }
  // The transport below may have drained before it got these bytes; then it has nothing to tell.
  if (!lower_->is_congested()) note_drained();
}

bool TlsTransport::send_pending() {
  if (!output_.empty()) {
    marks_[marks_made_++ % kMarks] = {bytes_written_ - output_.size(), lower_->bytes_written()};
    const bool encrypted = engine_->encrypt(output_) == TlsEngine::Result::ok;
    send_ciphertext();
    if (!encrypted) return false;
    idle_timer_.start_after(executor_.timers, kIdleAfter);
  }
  if (shut_wanted_ && !shut_sent_) {
    shut_sent_ = true;
    engine_->send_close_notify();
    send_ciphertext();
    lower_->shutdown_write();
  }
  return true;
}

void TlsTransport::send_ciphertext() {
  if (engine_->cipher_out.empty()) return;
  lower_->write(std::move(engine_->cipher_out));
  // What encryption adds may cross the limit that the plaintext had not reached; the writer that now stops waits too.
  if (is_congested()) above_high_ = true;
}

void TlsTransport::on_writable() {
  note_drained();
}

void TlsTransport::note_drained() {
  if (!above_high_ || is_congested()) return;
  above_high_ = false;
  if (events_ != nullptr) events_->on_writable();
}

void TlsTransport::on_idle() {
  engine_->free_memory();
}

// The bytes since `mark` begin in the record that the newest flush at or before it began with.
bool TlsTransport::was_unseen_since(uint64_t mark) const {
  const size_t count = std::min<size_t>(marks_made_, kMarks);
  for (size_t back = 1; back <= count; ++back) {
    const Mark& at = marks_[(marks_made_ - back) % kMarks];
    if (at.plain <= mark) return lower_->was_unseen_since(at.cipher);
  }
  return false;
}

// === the end ===

void TlsTransport::on_closed(const Error& why) {
  if (is_closed_) return;
  if (pauses_ == 0 && events_ != nullptr && !unread_.empty()) show();
  if (is_open()) break_off(why);
}

void TlsTransport::leave() {
  is_closed_ = true;
  idle_timer_.stop();
  event::Flushable::unlink();
  event::Steppable::unlink();
  output_.clear();
}

void TlsTransport::break_off(const Error& why) {
  leave();
  lower_->close();
  TransportEvents* events = std::exchange(events_, nullptr);
  if (events != nullptr) events->on_closed(why);
}

void TlsTransport::close() {
  if (is_closed_) return;
  events_ = nullptr;
  shut_wanted_ = true;
  send_pending();
  leave();
  unread_.clear();
  lower_->close();
}

void TlsTransport::reset() {
  if (is_closed_) return;
  events_ = nullptr;
  leave();
  unread_.clear();
  lower_->reset();
}

// === the peer's certificates ===

std::vector<std::string> peer_chain_der(const Transport& transport) {
  const auto* tls = dynamic_cast<const TlsTransport*>(&transport);
  return tls == nullptr ? std::vector<std::string>() : tls->engine().peer_chain();
}

std::string peer_certificate_pem(const Transport& transport, bool whole_chain) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  for (const std::string& der : peer_chain_der(transport)) {
    PEM_write_bio(bio.get(), PEM_STRING_X509, "", reinterpret_cast<const unsigned char*>(der.data()),
                  static_cast<long>(der.size()));
    if (!whole_chain) break;
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

}  // namespace pillion::net
