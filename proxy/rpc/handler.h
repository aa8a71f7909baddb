// What the HTTP server is given: who answers, by which certificate, within which limits.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/net/listener.h"
#include "proxy/net/tls.h"
#include "proxy/rpc/grpc.h"

namespace pillion::rpc {

struct HttpRequest {
  std::string method;
  std::string path;   // without the query
  std::string query;  // without '?'
  std::string authority;
  Metadata headers;  // names as they were sent: HTTP/1 clients may use any case
  std::string body;  // at most HttpServerOptions::body_bytes_max
  const Peer* peer = nullptr;

  std::string_view header(std::string_view name) const;  // the first of that name, in any case; "" = none
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=UTF-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

class HttpHandler {
 public:
  // Answers at once: nothing here waits.
  virtual HttpResponse handle(const HttpRequest& request) = 0;

 protected:
  ~HttpHandler() = default;
};

// Gives the TLS context of now for each new connection (it changes when a certificate rotates).
class ServerTlsSource {
 public:
  virtual std::shared_ptr<const net::ServerTlsContext> context() = 0;  // null: refuse the connection

 protected:
  ~ServerTlsSource() = default;
};

struct HttpServerOptions {
  net::ListenOptions listen;
  HttpHandler* handler = nullptr;  // null: 404 for all that is not gRPC
  GrpcService* grpc = nullptr;     // null: no gRPC
  ServerTlsSource* tls = nullptr;  // null: plain text
  size_t body_bytes_max = 1 << 20;
  size_t grpc_message_bytes_max = 16 << 20;  // of one received message
  uint32_t connections_max = 10'000;         // above it new ones are closed at once
  Duration handshake_timeout{10'000'000};    // TLS
  Duration request_timeout{30'000'000};      // first octet to last of a request; gRPC: of its head
  Duration idle_timeout{300'000'000};        // of a connection without requests and calls
};

// Dropping it closes its connections; the handlers of running calls are destroyed without another event. It may not be
// dropped from inside a handler.

}  // namespace pillion::rpc
