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
    ++count_;
    connections_.push_back(std::make_unique<ServerConnection>(*this, std::move(*transport)));
  }

  event::Executor& executor() override { return loop_.executor(); }
  const HttpServerOptions& options() const override { return options_; }
  void remove(ServerConnection& connection) override {
    --count_;
    executor().retire(connections_.take(connection));
  }

 private:
  event::Loop& loop_;
  const HttpServerOptions options_;
  std::unique_ptr<net::Listener> listener_;
  OwningList<ServerConnection> connections_;
  uint32_t count_ = 0;
};

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [have, value] : headers) {
    if (http::equals_ignore_case(have, name)) return value;
  }
  return {};
}

Expected<std::unique_ptr<HttpServer>> make_http_server(event::Loop& loop, const HttpServerOptions& options) {
  if (options.tls != nullptr) {
    return std::unexpected(Error{.code = Code::unsupported, .what = "serving over TLS"});
  }
  auto server = std::make_unique<Server>(loop, options);
  PILLION_TRY(server->open());
  return server;
}

}  // namespace pillion::rpc
