// What an accepted connection is before it is known who serves it: listener filters look at the first bytes, a filter
// chain is chosen, TLS is accepted, and a Connection or a Tunnel takes its place.
//
//   begun ──► looking ──► chosen ──► (handshaking) ──► (sniffing: h1 or h2? ──► sniffed) ──► gone, a successor is there
//   any state may go to gone without one
//
// Who speaks first: inspectors wait for the client's bytes, and a server that speaks first would wait with them. So a
// client that is silent for kSilence gets the chain of plain TCP dialled in advance. If the server speaks, it is TCP,
// and the destination is remembered; if the client speaks, its bytes decide as ever, and the dialled connection is used
// or dropped.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/downstream/session.h"
#include "proxy/downstream/tunnel.h"
#include "proxy/event/timer_queue.h"
#include "proxy/http/detect.h"
#include "proxy/net/client_hello.h"

namespace pillion::downstream {

class Intake final : public Session,
                     public event::Steppable,
                     public net::TransportEvents,
                     public net::HandshakeEvents,
                     public TunnelConnectEvents {
 public:
  static constexpr size_t kLookBytesMax = 64 * 1024;  // what does not say by then what it is, is not known
  static constexpr Duration kSilence{20'000};
  static constexpr Duration kHandshakeTimeout{15'000'000};  // where transport_socket_connect_timeout is not set
  static constexpr Duration kDrainSilence{1'000'000};

  Intake(Services& services, ConnectionInfo info, net::TransportPtr transport);
  ~Intake() override;

  void drain() override;
  void close() override;

 private:
  enum class State : uint8_t { begun, looking, chosen, handshaking, sniffing, sniffed, gone };

  // The server that was dialled in advance.
  struct Ahead final : net::TransportEvents {
    explicit Ahead(Intake& i) : intake(i) {}
    void on_bytes(Chain&) override { intake.on_server_spoke(false); }
    void on_eof() override { intake.on_server_spoke(true); }
    void on_writable() override {}
    void on_closed(const Error&) override { intake.drop_ahead(); }
    Intake& intake;
  };

  void step() override;
  void on_bytes(Chain& in) override;
  void on_eof() override;
  void on_writable() override {}
  void on_closed(const Error& why) override;

  bool is_looking_needed() const;
  void start_looking();
  bool look(std::string_view bytes, bool is_all);  // true: known as far as it will be
  bool look_for_http(std::string_view bytes, bool is_all);
  void decide();  // the chain is chosen at the end of the turn
  void choose();
  void tell_no_chain();
  void start_tls(const config::TlsContext& tls);
  void on_handshaken(net::TransportPtr transport) override;
  void on_handshake_failed(const Error& why, std::string_view detail) override;
  void serve();
  void serve_http(const config::HttpConnectionManager& manager);
  void sniff(std::string_view bytes);
  void succeed(std::unique_ptr<Session> successor);
  void on_silence();
  void on_looking_timeout();
  void on_sniffing_timeout();
  const config::FilterChain* match(std::string_view transport_protocol, std::span<const std::string_view> protocols);

  const config::TcpProxy* fallback();
  void on_connected() override;
  void on_connect_failed(const Error& why) override;
  void on_server_spoke(bool is_end);
  void drop_ahead();

  void count(std::string_view leaf);  // of the listener; for what is rare
  void let_go(bool reset);            // ends here

  Services& services_;
  net::TransportPtr transport_;
  std::unique_ptr<net::Handshake> handshake_;
  Ahead ahead_{*this};
  std::unique_ptr<TunnelConnect> connect_;     // towards the fallback's server
  const config::TcpProxy* dialled_ = nullptr;  // whose
  event::Timer timer_;                         // listener_filters_timeout, then the wait for the first request
  event::Timer silence_timer_{event::Timer::bind<&Intake::on_silence>(this)};
  std::vector<std::string> alpn_;
  std::vector<std::string_view> protocols_;
  std::string scratch_;
  std::string_view transport_protocol_ = "raw_buffer";
  State state_ = State::begun;
  http::Detected detected_ = http::Detected::need_more;
  bool tls_looked_at_ = false;
  bool client_spoke_ = false;
  bool client_eof_ = false;
  bool server_eof_ = false;
  bool paused_ = false;         // the client's reading, between two owners
  bool server_paused_ = false;  // … and the server's
  bool draining_ = false;
};

// "listener.0.0.0.0_80.": Envoy writes the address of the configuration with underscores.
StatScope listener_scope(const config::Listener& listener);

}  // namespace pillion::downstream
