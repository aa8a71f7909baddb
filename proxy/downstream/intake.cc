#include "proxy/downstream/intake.h"

#include <algorithm>

#include "proxy/base/log.h"
#include "proxy/downstream/chain_match.h"

namespace pillion::downstream {
namespace {

constexpr std::string_view kHttp10 = "http/1.0";
constexpr std::string_view kHttp11 = "http/1.1";
constexpr std::string_view kH2c = "h2c";

// The bytes received so far in one piece; copied only where they are not.
std::string_view contiguous(const Chain& chain, std::string& scratch) {
  if (chain.front().size() == chain.size()) return chain.front();
  scratch.resize(std::min(chain.size(), Intake::kLookBytesMax));
  scratch.resize(chain.copy_out(scratch));
  return scratch;
}

bool is_prefix_of(std::string_view a, std::string_view b) {
  const size_t n = std::min(a.size(), b.size());
  return a.substr(0, n) == b.substr(0, n);
}

}  // namespace

StatScope listener_scope(const config::Listener& listener) {
  std::string address = listener.addresses.empty() ? listener.name : listener.addresses.front().to_string();
  std::replace(address.begin(), address.end(), ':', '_');
  return StatScope("listener", "envoy_listener_address", address);
}

Intake::Intake(Services& services, ConnectionInfo info, net::TransportPtr transport)
    : Session(std::move(info)),
      services_(services),
      transport_(std::move(transport)),
      timer_(event::Timer::bind<&Intake::on_looking_timeout>(this)) {
  services_.executor.ready(*this);  // its host has it in the list by then
}

Intake::~Intake() = default;

void Intake::step() {
  if (state_ == State::chosen) {
    choose();
  } else if (state_ == State::sniffed) {
    serve();
  } else if (state_ == State::begun) {
    is_looking_needed() ? start_looking() : choose();
  }
}

void Intake::start_looking() {
  state_ = State::looking;
  const config::Listener& listener = *info_.listener;
  if (listener.listener_filters_timeout.count() > 0) {
    timer_.start_after(services_.executor.timers, listener.listener_filters_timeout);
  }
  if (fallback() != nullptr) {
    const bool is_known = services_.server_first.contains(info_.local);
    silence_timer_.start_after(services_.executor.timers, is_known ? Duration(0) : kSilence);
  }
  transport_->set_events(this);
}

bool Intake::is_looking_needed() const {
  const config::Listener& listener = *info_.listener;
  return listener.tls_inspector || listener.http_inspector;
}

// === looking ===

void Intake::on_bytes(Chain& in) {
  if (state_ == State::sniffing) {
    sniff(contiguous(in, scratch_));
    return;
  }
  if (state_ != State::looking) return;
  if (!client_spoke_) {
    client_spoke_ = true;
    silence_timer_.stop();
  }
  if (look(contiguous(in, scratch_), in.size() >= kLookBytesMax)) decide();
}

bool Intake::look(std::string_view bytes, bool is_all) {
  if (info_.listener->tls_inspector && !tls_looked_at_) {
    net::ClientHello hello = net::parse_client_hello(bytes);
    if (hello.state == net::ClientHello::State::need_more && !is_all) return false;
    tls_looked_at_ = true;
    if (hello.state == net::ClientHello::State::complete) {
      transport_protocol_ = "tls";
      info_.sni = std::move(hello.sni);
      alpn_ = std::move(hello.alpn);
      protocols_.assign(alpn_.begin(), alpn_.end());
      return true;
    }
  }
  return !info_.listener->http_inspector || look_for_http(bytes, is_all);
}

bool Intake::look_for_http(std::string_view bytes, bool is_all) {
  detected_ = http::detect(bytes);
  if (detected_ == http::Detected::need_more) return is_all;
  if (detected_ == http::Detected::h2) protocols_ = {kH2c};
  if (detected_ == http::Detected::h1) {
    const std::string_view line = bytes.substr(0, bytes.find('\r', 2));
    protocols_ = {line.ends_with("HTTP/1.0") ? kHttp10 : kHttp11};
  }
  return true;
}

void Intake::on_eof() {
  client_eof_ = true;
  if (state_ == State::looking) {
    // A half-closed client may still be waiting for a server that speaks first, if there is one; else it has left.
    if (!client_spoke_ && connect_ == nullptr) {
      let_go(false);
      return;
    }
    decide();
  } else if (state_ == State::sniffing) {
    let_go(false);  // an HTTP client that leaves before it has asked
  }
}

void Intake::on_closed(const Error&) {
  let_go(false);
}

void Intake::on_looking_timeout() {
  if (state_ == State::sniffing) {
    on_sniffing_timeout();
    return;
  }
  count("downstream_pre_cx_timeout");
  if (!info_.listener->continue_on_listener_filters_timeout) {
    let_go(false);
    return;
  }
  decide();
}

// Reading stops until the successor is there, so that it misses nothing.
void Intake::decide() {
  if (state_ != State::looking) return;
  state_ = State::chosen;
  timer_.stop();
  silence_timer_.stop();
  transport_->pause_reading();
  paused_ = true;
  services_.executor.ready(*this);
}

// === who speaks first ===

// The chain that serves a client of which nothing is known, if it is plain TCP.
const config::TcpProxy* Intake::fallback() {
  const config::FilterChain* chain = match("raw_buffer", {});
  if (chain == nullptr || chain->tls != nullptr) return nullptr;
  return std::get_if<config::TcpProxy>(&chain->terminal);
}

void Intake::on_silence() {
  dialled_ = fallback();
  if (dialled_ == nullptr) return;
  connect_ = std::make_unique<TunnelConnect>(services_, *dialled_, info_, *this);
  connect_->start();
}

void Intake::on_connected() {
  connect_->transport()->set_events(&ahead_);
}

// The client is not told: it may be about to speak HTTP, which another cluster serves.
void Intake::on_connect_failed(const Error&) {
  drop_ahead();
}

void Intake::on_server_spoke(bool is_end) {
  server_eof_ = server_eof_ || is_end;
  if (state_ != State::looking) return;
  if (!is_end) services_.server_first.learn(info_.local);
  if (!server_paused_) connect_->transport()->pause_reading();
  server_paused_ = true;
  protocols_.clear();
  decide();
}

void Intake::drop_ahead() {
  // Its memory waits: this is called from inside its events.
  if (connect_ == nullptr) return;
  connect_->close(false, false);
  struct Dropped final : event::Retirable {
    explicit Dropped(std::unique_ptr<TunnelConnect> c) : connect(std::move(c)) {}
    std::unique_ptr<TunnelConnect> connect;
  };
  services_.executor.retire(std::make_unique<Dropped>(std::move(connect_)));
}

// === the chain ===

const config::FilterChain* Intake::match(std::string_view transport_protocol,
                                         std::span<const std::string_view> protocols) {
  return match_chain(*info_.listener, {.destination = info_.local,
                                       .server_name = *info_.sni,
                                       .transport_protocol = transport_protocol,
                                       .application_protocols = protocols,
                                       .direct_source = transport_->peer_address(),
                                       .source = info_.remote});
}

void Intake::choose() {
  info_.chain = match(transport_protocol_, protocols_);
  if (info_.chain == nullptr) {
    count("no_filter_chain_match");
    tell_no_chain();
    let_go(true);
    return;
  }
  if (info_.chain->tls != nullptr) {
    start_tls(*info_.chain->tls);
  } else {
    serve();
  }
}

// Plain text where TLS is asked for is the stranger in a strict mesh; it has a sentence of its own.
void Intake::tell_no_chain() {
  const bool is_tls = transport_protocol_ == "tls";
  const bool tls_would_do = !is_tls && match("tls", {}) != nullptr;
  PILLION_LOG_LIMITED(info, services_.executor.now(), "listener {}: {} to {} is refused: {}", info_.listener->name,
                      info_.remote.to_string(), info_.local.to_string(),
                      tls_would_do ? "it speaks plain text, and only TLS is accepted here"
                      : is_tls     ? "no filter chain is for its TLS (server name or protocol)"
                                   : "no filter chain is for it");
}

void Intake::start_tls(const config::TlsContext& tls) {
  Expected<std::shared_ptr<const net::ServerTlsContext>> context = services_.host.server_tls(tls);
  if (!context) {
    count("downstream_cx_transport_socket_not_ready");
    PILLION_LOG_LIMITED(warning, services_.executor.now(), "listener {}: {}", info_.listener->name,
                        to_string(context.error()));
    let_go(true);
    return;
  }
  drop_ahead();
  state_ = State::handshaking;
  transport_->set_events(nullptr);
  if (paused_) transport_->resume_reading();
  paused_ = false;
  const Duration asked = info_.chain->handshake_timeout;
  handshake_ = net::start_server_handshake(services_.executor, std::move(transport_), *context,
                                           asked.count() > 0 ? asked : kHandshakeTimeout, *this);
}

void Intake::on_handshaken(net::TransportPtr transport) {
  transport_ = std::move(transport);
  detected_ = http::Detected::need_more;  // what was seen so far was the handshake
  client_eof_ = false;
  count("ssl.handshake");
  if (const net::TlsInfo* tls = transport_->tls(); tls != nullptr && info_.sni.empty()) info_.sni = tls->sni;
  serve();
}

void Intake::on_handshake_failed(const Error& why, std::string_view detail) {
  count("ssl.connection_error");
  PILLION_LOG_LIMITED(info, services_.executor.now(), "listener {}: TLS with {} failed: {} ({})", info_.listener->name,
                      info_.remote.to_string(), detail, to_string(why));
  let_go(false);
}

// === the successor ===

void Intake::serve() {
  if (const auto* proxy = std::get_if<config::TcpProxy>(&info_.chain->terminal)) {
    if (dialled_ != proxy) drop_ahead();
    transport_->set_events(nullptr);
    if (paused_) transport_->resume_reading();
    if (connect_ != nullptr && connect_->is_connected()) {
      connect_->transport()->set_events(nullptr);
      if (server_paused_) connect_->transport()->resume_reading();
    }
    TunnelStart start{.connect = std::move(connect_), .downstream_eof = client_eof_, .upstream_eof = server_eof_};
    succeed(make_tunnel(services_, std::move(info_), std::move(transport_), *proxy, std::move(start)));
    return;
  }
  drop_ahead();
  if (client_spoke_) services_.server_first.forget(info_.local);
  serve_http(std::get<config::HttpConnectionManager>(info_.chain->terminal));
}

void Intake::serve_http(const config::HttpConnectionManager& manager) {
  using CodecType = config::HttpConnectionManager::CodecType;
  if (client_eof_) {  // it left in the middle of its first line
    let_go(false);
    return;
  }
  bool http2 = manager.codec == CodecType::http2;
  if (manager.codec == CodecType::automatic) {
    const net::TlsInfo* tls = transport_->tls();
    if (tls != nullptr && !tls->alpn.empty()) {
      http2 = tls->alpn == "h2" || tls->alpn == config::kCarryAlpn;
    } else if (detected_ == http::Detected::need_more) {
      state_ = State::sniffing;
      if (manager.idle_timeout.count() > 0) timer_.start_after(services_.executor.timers, manager.idle_timeout);
      transport_->set_events(this);
      if (paused_) transport_->resume_reading();
      paused_ = false;
      return;
    } else {
      http2 = detected_ == http::Detected::h2;
    }
  }
  transport_->set_events(nullptr);
  if (paused_) transport_->resume_reading();
  succeed(make_http_connection(services_, std::move(info_), std::move(transport_), manager, http2));
}

// RFC 9113 3.4: prior knowledge shows itself by the preface.
void Intake::sniff(std::string_view bytes) {
  if (!is_prefix_of(bytes, http::kH2Preface)) {
    detected_ = http::Detected::h1;
  } else if (bytes.size() >= http::kH2Preface.size()) {
    detected_ = http::Detected::h2;
  } else {
    return;
  }
  state_ = State::sniffed;
  timer_.stop();
  transport_->pause_reading();
  paused_ = true;
  services_.executor.ready(*this);
}

void Intake::on_sniffing_timeout() {
  let_go(false);
}

void Intake::succeed(std::unique_ptr<Session> successor) {
  state_ = State::gone;
  timer_.stop();
  silence_timer_.stop();
  Session& next = *successor;
  services_.host.add(std::move(successor));
  if (draining_) next.drain();
  services_.host.remove(*this);
}

// === the end ===

void Intake::drain() {
  draining_ = true;
  // A request may be on its way: who says nothing for this long did not mean to.
  if (state_ == State::looking && !client_spoke_ && connect_ == nullptr) {
    timer_.start_after(services_.executor.timers, kDrainSilence);
  }
}

void Intake::close() {
  let_go(false);
}

void Intake::count(std::string_view leaf) {
  services_.executor.stats.add(services_.registry.counter(listener_scope(*info_.listener).name(leaf)));
}

void Intake::let_go(bool reset) {
  if (state_ == State::gone) return;
  state_ = State::gone;
  event::Steppable::unlink();
  timer_.stop();
  silence_timer_.stop();
  drop_ahead();
  handshake_.reset();
  if (transport_ != nullptr) reset ? transport_->reset() : transport_->close();
  services_.host.remove(*this);
}

std::unique_ptr<Session> make_intake(Services& services, ConnectionInfo info, net::TransportPtr transport) {
  return std::make_unique<Intake>(services, std::move(info), std::move(transport));
}

}  // namespace pillion::downstream
