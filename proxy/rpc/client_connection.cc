#include "proxy/rpc/client_connection.h"

namespace pillion::rpc {
namespace {

constexpr size_t kProduceBudgetBytes = 256 * 1024;

http::CodecLimits limits() {
  http::CodecLimits l;
  l.stream_window_bytes = ClientConnection::kStreamWindowBytes;
  l.connection_window_bytes = ClientConnection::kConnectionWindowBytes;
  return l;
}

}  // namespace

ClientConnection::ClientConnection(ClientConnectionOwner& owner, net::TransportPtr transport,
                                   Duration keepalive_interval)
    : owner_(owner),
      transport_(std::move(transport)),
      codec_(http::make_h2_client(owner.executor().chunks, limits())),
      keepalive_timer_(event::Timer::bind<&ClientConnection::on_keepalive>(this)),
      keepalive_interval_(keepalive_interval) {
  transport_->set_events(this);
  if (keepalive_interval_.count() > 0) keepalive_timer_.start_after(owner_.executor().timers, keepalive_interval_);
  touch();  // the preface
}

http::ClientStream& ClientConnection::start(http::ClientStreamEvents& events) {
  touch();
  return codec_->start(events);
}

void ClientConnection::touch() {
  if (!closing_) owner_.executor().dirty(*this);
}

void ClientConnection::flush() {
  if (closing_) return;
  while (codec_->wants_produce() && !transport_->is_congested()) {
    Chain out;
    codec_->produce(out, kProduceBudgetBytes);
    if (out.empty()) break;
    transport_->write(std::move(out));
  }
  const bool spent = codec_->is_going_away() && codec_->active_streams() == 0;
  if ((codec_->is_finished() || spent) && !codec_->wants_produce()) {
    return lose({.code = Code::peer_closed, .side = Side::upstream, .retry = Retry::safe, .what = "it goes away"});
  }
  owner_.on_changed(*this);
}

void ClientConnection::on_bytes(Chain& in) {
  if (const Expected<void> fed = codec_->feed(in); !fed) {
    in.clear();
    flush();  // GOAWAY
    return lose(fed.error());
  }
  touch();
}

void ClientConnection::on_eof() {
  lose({.code = Code::peer_closed, .side = Side::upstream, .what = "the server closed the connection"});
}

void ClientConnection::on_keepalive() {
  if (std::exchange(awaiting_, false)) {
    if (codec_->awaits_pong()) {
      return lose({.code = Code::idle_timeout, .side = Side::upstream, .what = "no answer to a keep-alive PING"});
    }
    keepalive_timer_.start_after(owner_.executor().timers, keepalive_interval_);
    return;
  }
  awaiting_ = codec_->active_streams() > 0;  // servers take it badly from who has no calls
  if (awaiting_) codec_->ping();
  keepalive_timer_.start_after(owner_.executor().timers, awaiting_ ? kPongTimeout : keepalive_interval_);
  touch();
}

void ClientConnection::lose(const Error& why) {
  if (closing_) return;
  codec_->on_connection_lost(why);  // each call hears its own reason
  close();
  owner_.on_lost(*this, why);
}

void ClientConnection::close() {
  closing_ = true;
  keepalive_timer_.stop();
  event::Flushable::unlink();
  transport_->close();
}

}  // namespace pillion::rpc
