#include "proxy/rpc/http_server.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/http/message.h"
#include "proxy/net/tcp.h"
#include "proxy/rpc/server_connection.h"

namespace pillion::rpc {
namespace {

// The client of a long call may vanish without a word, and the server has nothing to send for hours.
void keep_alive(int fd) {
  constexpr int kOn = 1, kIdleSeconds = 60, kIntervalSeconds = 10, kProbes = 3;
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &kOn, sizeof(kOn));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &kIdleSeconds, sizeof(kIdleSeconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &kIntervalSeconds, sizeof(kIntervalSeconds));
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &kProbes, sizeof(kProbes));
}

class Server;

// A connection whose TLS handshake is under way.
class Arrival final : public event::Retirable, public ListNode<>, public net::HandshakeEvents {
 public:
  Arrival(Server& server, net::TransportPtr transport, std::shared_ptr<const net::ServerTlsContext> context);
  void on_handshaken(net::TransportPtr transport) override;
  void on_handshake_failed(const Error& why, std::string_view detail) override;

 private:
  Server& server_;
  Address peer_;
  std::unique_ptr<net::Handshake> handshake_;
};

class Server final : public HttpServer, public net::AcceptEvents, public ConnectionOwner {
 public:
  Server(event::Loop& loop, const HttpServerOptions& options) : loop_(loop), options_(options) {}

  Expected<void> open() {
    Expected<std::unique_ptr<net::Listener>> opened = net::Listener::open(loop_, options_.listen, *this);
    if (!opened) return std::unexpected(opened.error());
    listener_ = std::move(*opened);
    return {};
  }

  const Address& address() const override { return listener_->local_address(); }

  void on_accept(int fd) override {
    if (count_ >= options_.connections_max) {
      PILLION_LOG_LIMITED(warning, loop_.now(), "rpc: {}: more than {} connections", address().to_string(),
                          options_.connections_max);
      ::close(fd);
      return;
    }
    if (address().is_ip()) keep_alive(fd);
    Expected<std::unique_ptr<net::TcpTransport>> transport = net::adopt_socket(loop_, fd);
    if (!transport) {
      PILLION_LOG_LIMITED(warning, loop_.now(), "rpc: {}", to_string(transport.error()));
      return;
    }
    if (options_.tls != nullptr) return shake_hands(std::move(*transport));
    ++count_;
    connections_.push_back(std::make_unique<ServerConnection>(*this, std::move(*transport)));
  }

  void arrived(Arrival& arrival, net::TransportPtr transport) {
    connections_.push_back(std::make_unique<ServerConnection>(*this, std::move(transport)));
    executor().retire(arrivals_.take(arrival));
  }
  void turned_away(Arrival& arrival) {
    --count_;
    executor().retire(arrivals_.take(arrival));
  }

  event::Executor& executor() override { return loop_.executor(); }
  const HttpServerOptions& options() const override { return options_; }
  void remove(ServerConnection& connection) override {
    --count_;
    executor().retire(connections_.take(connection));
  }

 private:
  void shake_hands(net::TransportPtr transport) {
    std::shared_ptr<const net::ServerTlsContext> context = options_.tls->context();
    if (context == nullptr) {
      PILLION_LOG_LIMITED(warning, loop_.now(), "rpc: {}: no certificate yet", address().to_string());
      return transport->reset();
    }
    ++count_;
    arrivals_.push_back(std::make_unique<Arrival>(*this, std::move(transport), std::move(context)));
  }

  event::Loop& loop_;
  const HttpServerOptions options_;
  std::unique_ptr<net::Listener> listener_;
  OwningList<Arrival> arrivals_;
  OwningList<ServerConnection> connections_;
  uint32_t count_ = 0;  // of both
};

Arrival::Arrival(Server& server, net::TransportPtr transport, std::shared_ptr<const net::ServerTlsContext> context)
    : server_(server), peer_(transport->peer_address()) {
  handshake_ = net::start_server_handshake(server.executor(), std::move(transport), std::move(context),
                                           server.options().handshake_timeout, *this);
}

void Arrival::on_handshaken(net::TransportPtr transport) {
  server_.arrived(*this, std::move(transport));
}

void Arrival::on_handshake_failed(const Error& why, std::string_view detail) {
  PILLION_LOG_LIMITED(info, server_.executor().now(), "rpc: {}: {}: {}", peer_.to_string(), to_string(why), detail);
  server_.turned_away(*this);
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [have, value] : headers) {
    if (http::equals_ignore_case(have, name)) return value;
  }
  return {};
}

Expected<std::unique_ptr<HttpServer>> make_http_server(event::Loop& loop, const HttpServerOptions& options) {
  auto server = std::make_unique<Server>(loop, options);
  PILLION_TRY(server->open());
  return server;
}

}  // namespace pillion::rpc
