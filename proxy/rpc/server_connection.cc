#include "proxy/rpc/server_connection.h"

#include "proxy/base/log.h"
#include "proxy/http/detect.h"

namespace pillion::rpc {
namespace {

constexpr size_t kProduceBudgetBytes = 256 * 1024;

}  // namespace

ServerConnection::ServerConnection(ConnectionOwner& owner, net::TransportPtr transport)
    : owner_(owner),
      timer_(event::Timer::bind<&ServerConnection::on_timer>(this)),
      minute_timer_(event::Timer::bind<&ServerConnection::on_minute>(this)) {
  minute_timer_.start_after(executor().timers, 60s);
  serve(std::move(transport));
}

void ServerConnection::serve(net::TransportPtr transport) {
  transport_ = std::move(transport);
  peer_ = {.address = transport_->peer_address(), .tls = transport_->tls()};
  if (peer_.tls != nullptr && peer_.tls->alpn == "h2") make_codec(true);
  timer_.start_after(executor().timers, options().request_timeout);  // the first octet does not take longer
  transport_->set_events(this);
}

// === input ===

void ServerConnection::on_bytes(Chain& in) {
  if (parting_) return in.clear();
  if (codec_ == nullptr && !detect(in)) return;
  if (const Expected<void> fed = codec_->feed(in); !fed) {
    PILLION_LOG_LIMITED(info, executor().now(), "rpc: {}: {}", peer_.address.to_string(), to_string(fed.error()));
  }
  follow_pause();
  touch();
}

// Prior knowledge of HTTP/2 shows in its preface; all else is for the HTTP/1 codec to judge.
bool ServerConnection::detect(Chain& in) {
  char first[http::kH2Preface.size()];
  const size_t n = in.copy_out(first);
  const std::string_view have(first, n);
  if (!http::kH2Preface.starts_with(have)) {
    make_codec(false);
    return true;
  }
  if (n < http::kH2Preface.size()) return false;
  make_codec(true);
  return true;
}

void ServerConnection::make_codec(bool is_h2) {
  http::CodecLimits limits;
  codec_ = is_h2 ? http::make_h2_server(executor().chunks, *this, limits)
                 : http::make_h1_server(executor().chunks, *this, limits);
}

http::ServerStreamEvents& ServerConnection::on_stream_begin(http::ServerStream& stream) {
  if (!parting_) timer_.stop();
  return exchanges_.push_back(std::make_unique<ServerExchange>(*this, stream));
}

void ServerConnection::on_eof() {
  eof_ = true;
  if (codec_ == nullptr || parting_) return finish({.code = Code::peer_closed, .side = Side::downstream});
  codec_->on_eof();
  touch();
}

void ServerConnection::on_closed(const Error& why) {
  finish(why);
}

// === output ===

void ServerConnection::touch() {
  if (!closing_) executor().dirty(*this);
}

void ServerConnection::remove(ServerExchange& exchange) {
  executor().retire(exchanges_.take(exchange));
}

void ServerConnection::flush() {
  if (closing_ || codec_ == nullptr) return;
  while (codec_->wants_produce() && !transport_->is_congested()) {
    Chain out;
    codec_->produce(out, kProduceBudgetBytes);
    if (out.empty()) break;
    transport_->write(std::move(out));
  }
  after_event();
}

void ServerConnection::after_event() {
  if (parting_) return;
  if (codec_->is_finished() && !codec_->wants_produce()) {
    if (codec_->wants_abort()) {
      transport_->reset();
      return finish({.code = Code::local_close});
    }
    return part();
  }
  follow_pause();
  if (exchanges_.empty() && !timer_.is_armed()) timer_.start_after(executor().timers, options().idle_timeout);
}

// What the codec leaves unread is shown again by the transport after a resume.
void ServerConnection::follow_pause() {
  const bool pause = !parting_ && codec_->wants_pause();
  if (pause == paused_) return;
  paused_ = pause;
  pause ? transport_->pause_reading() : transport_->resume_reading();
}

// === the end ===

void ServerConnection::on_timer() {
  if (parting_ || codec_ == nullptr || std::exchange(draining_, true)) return finish({.code = Code::idle_timeout});
  codec_->start_drain(true);  // HTTP/2 says goodbye; then the codec is finished
  timer_.start_after(executor().timers, kPartingTime);
  touch();
}

void ServerConnection::on_minute() {
  if (codec_ != nullptr) codec_->on_minute();
  minute_timer_.start_after(executor().timers, 60s);
}

void ServerConnection::part() {
  if (std::exchange(parting_, true)) return;
  if (eof_) return finish({.code = Code::local_close});
  follow_pause();
  transport_->shutdown_write();
  timer_.start_after(executor().timers, kPartingTime);
}

void ServerConnection::finish(const Error& why) {
  if (std::exchange(closing_, true)) return;
  timer_.stop();
  minute_timer_.stop();
  event::Flushable::unlink();
  if (codec_ != nullptr) codec_->on_connection_lost(why);
  for (ServerExchange& exchange : exchanges_) exchange.cut();
  if (transport_ != nullptr) transport_->close();
  owner_.remove(*this);
}

}  // namespace pillion::rpc
