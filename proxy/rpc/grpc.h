// gRPC over HTTP/2 as calls of framed messages, both sides; serialized messages in, serialized messages out, so that
// protobuf stays outside. https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/net/transport.h"

namespace pillion::rpc {

constexpr size_t kGrpcMessageBytesMax = 256u << 20;  // a large mesh's whole CDS; named by the error when crossed
constexpr size_t kGrpcQueuedBytesMax = 2 * kGrpcMessageBytesMax;  // sent, and not taken by the peer: the call breaks

struct GrpcStatus {
  int code = 0;  // 0 = OK
  std::string message;
  bool ok() const { return code == 0; }
};
using Metadata = std::vector<std::pair<std::string, std::string>>;

// === client ===

class GrpcCallEvents {
 public:
  virtual void on_message(std::string_view message) = 0;
  // The call is over, also when the connection could not be made (14) or broke. Last event.
  virtual void on_status(const GrpcStatus& status) = 0;

 protected:
  ~GrpcCallEvents() = default;
};

// Dropping it cancels, also from inside its events. No event comes from inside its verbs.
class GrpcCall {
 public:
  virtual ~GrpcCall() = default;
  virtual void send(std::string_view message) = 0;  // queued until the connection is there
  virtual void finish() = 0;                        // no more messages from this side
};

// Where calls go. Implementations: direct_channel (one address), upstream/cluster_channel (a cluster's endpoints).
class Channel {
 public:
  // Calls that outlive their channel get no more events.
  virtual ~Channel() = default;
  // `path` is "/package.Service/Method".
  [[nodiscard]] virtual std::unique_ptr<GrpcCall> call(std::string_view path, const Metadata& metadata,
                                                       GrpcCallEvents& events) = 0;
};

// === server ===

// Who is at the other end; lives as long as the call.
struct Peer {
  Address address;
  const net::TlsInfo* tls = nullptr;  // null: plain text
};

// The service's half of one call. Events come in order; after on_cancelled or its own finish() nothing comes.
class GrpcHandler {
 public:
  virtual ~GrpcHandler() = default;
  virtual void on_message(std::string_view message) = 0;
  virtual void on_finished() = 0;   // the client sends no more
  virtual void on_cancelled() = 0;  // the client or its connection is gone
};

// The server's half, used by the handler; valid until finish() or on_cancelled.
class GrpcResponder {
 public:
  virtual void send(std::string_view message) = 0;
  virtual void finish(const GrpcStatus& status) = 0;
  virtual size_t queued_bytes() const = 0;  // not yet taken by the client: a slow reader
  virtual const Peer& peer() const = 0;

 protected:
  ~GrpcResponder() = default;
};

class GrpcService {
 public:
  virtual ~GrpcService() = default;
  // Null: there is no such method (UNIMPLEMENTED is answered).
  virtual std::unique_ptr<GrpcHandler> start(std::string_view path, const Metadata& metadata,
                                             GrpcResponder& responder) = 0;
};

}  // namespace pillion::rpc
