// Our own small HTTP server (admin, the control plane): HTTP/1.1 and HTTP/2 on one port, plain or TLS, gRPC calls on
// the same port. Requests are collected whole (bounded), answers are whole. Never on a worker.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/event/loop.h"
#include "proxy/net/listener.h"
#include "proxy/net/tls.h"
#include "proxy/rpc/handler.h"

namespace pillion::rpc {

class HttpServer {
 public:
  virtual ~HttpServer() = default;
  virtual const Address& address() const = 0;
};

// Errors: those of net::Listener::open.
Expected<std::unique_ptr<HttpServer>> make_http_server(event::Loop& loop, const HttpServerOptions& options);

}  // namespace pillion::rpc
