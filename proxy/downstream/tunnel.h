// A TCP proxy's connection: bytes both ways until both sides have finished.
//
//   connecting ──► relaying ──► half-closed (one FIN was carried over) ──► closing (both; the last bytes leave) ──►
//   gone
//
// A reset of one side resets the other, after what came before it has been written. A side that reads slowly pauses the
// reading of the other. Stats: tcp.<stat_prefix>.*.
#pragma once

#include <memory>

#include "proxy/downstream/session.h"
#include "proxy/downstream/tcp_stats.h"
#include "proxy/downstream/tunnel_connect.h"
#include "proxy/event/timer_queue.h"

namespace pillion::downstream {

// What the intake has done or seen before it made way for the tunnel.
struct TunnelStart {
  std::unique_ptr<TunnelConnect> connect;  // null: the tunnel makes its own
  bool downstream_eof = false;             // shown already, and not again
  bool upstream_eof = false;
};

class Tunnel final : public Session, public event::Flushable, public TunnelConnectEvents {
 public:
  static constexpr size_t kEarlyBytesMax = 64 * 1024;  // of the client's, before the server is connected
  // A tunnel of which one half is closed may idle so long, unless idle_timeout was set: conntrack forgets such
  // connections after 60 s, and then neither side would ever learn of the other's end.
  static constexpr Duration kHalfClosedIdle{50'000'000};
  static constexpr Duration kIdleTimeoutUnset{3'600'000'000};  // what translation gives where none was set
  static constexpr Duration kClosingLook{500'000};  // how often a tunnel that is closing looks whether bytes still move
  static constexpr Duration kClosingIdle{30'000'000};  // its reader takes nothing for so long: given up

  Tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport, const config::TcpProxy& proxy,
         TunnelStart start);
  ~Tunnel() override;

  void drain() override {}
  void close() override { end({Code::draining, Side::local, Retry::never, 0, "the drain time is over"}); }

 private:
  struct Half final : net::TransportEvents {
    explicit Half(Tunnel& t) : tunnel(t) {}
    void on_bytes(Chain& in) override { tunnel.on_bytes(*this, in); }
    void on_eof() override { tunnel.on_eof(*this); }
    void on_writable() override { tunnel.on_writable(*this); }
    void on_closed(const Error& why) override { tunnel.on_broken(*this, why); }
    Tunnel& tunnel;
    net::Transport* transport = nullptr;
    uint64_t bytes = 0;   // received from it
    bool eof = false;     // its FIN came
    bool paused = false;  // we do not read, since the other side is slow or not there
  };

  Half& other(Half& half) { return &half == &downstream_ ? upstream_ : downstream_; }
  void on_bytes(Half& from, Chain& in);
  void on_eof(Half& from);
  void on_writable(Half& at);
  void on_broken(Half& at, const Error& why);
  void flush() override;  // carries a reset over, behind the bytes that came before it
  void on_connected() override;
  void on_connect_failed(const Error& why) override;
  void relay_eof(Half& from);
  void pause(Half& half);
  void resume(Half& half);
  void touch();
  void on_idle();
  void on_max_duration();
  void begin_closing();
  void on_closing_look();
  void end(const Error& why);
  void log(const Error& why);

  Services& services_;
  const config::TcpProxy& proxy_;
  TunnelStats stats_;
  net::TransportPtr transport_;
  std::unique_ptr<TunnelConnect> connect_;
  Half downstream_{*this};
  Half upstream_{*this};
  event::Timer idle_timer_{event::Timer::bind<&Tunnel::on_idle>(this)};
  event::Timer age_timer_{event::Timer::bind<&Tunnel::on_max_duration>(this)};
  event::Timer closing_timer_{event::Timer::bind<&Tunnel::on_closing_look>(this)};
  int64_t start_wall_us_;
  Error broken_;
  size_t closing_bytes_ = 0;  // pending at the last look
  Instant closing_moved_{};
  bool upstream_eof_early_ = false;
  bool upstream_finished_first_ = false;
  bool ended_ = false;
};

// With what an intake has begun.
std::unique_ptr<Session> make_tunnel(Services& services, ConnectionInfo info, net::TransportPtr transport,
                                     const config::TcpProxy& proxy, TunnelStart start);

}  // namespace pillion::downstream
