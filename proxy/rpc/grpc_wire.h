// How gRPC messages and statuses look inside HTTP/2 bodies and fields, for the server and the client alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/chain.h"
#include "proxy/base/error.h"

namespace pillion::rpc {

// Codes of https://grpc.io/docs/guides/status-codes that we say ourselves.
enum GrpcCode : int {
  kGrpcOk = 0,
  kGrpcCancelled = 1,
  kGrpcUnknown = 2,
  kGrpcPermissionDenied = 7,
  kGrpcResourceExhausted = 8,
  kGrpcUnimplemented = 12,
  kGrpcInternal = 13,
  kGrpcUnavailable = 14,
  kGrpcUnauthenticated = 16,
};

// Cuts messages out of a body: one octet of flags, four of length, the message.
class GrpcReader {
 public:
  static constexpr size_t kHeadBytes = 5;

  enum class Result : uint8_t { message, need_more, too_large, compressed };

  explicit GrpcReader(size_t message_bytes_max) : max_(message_bytes_max) {}

  // Drains what it used from `in`. With `message`, message() is valid until the next call.
  Result next(Chain& in);
  std::string_view message() const { return message_; }
  bool is_between_messages() const { return head_used_ == 0; }  // the body may end here

 private:
  const size_t max_;
  char head_[kHeadBytes] = {};
  size_t head_used_ = 0;
  size_t length_ = 0;
  bool complete_ = false;
  std::string message_;
};

void append_grpc_message(ChunkPool& chunks, Chain& out, std::string_view message);

// grpc-message is percent-encoded UTF-8; decoding leaves alone what is not an encoding.
std::string percent_encode(std::string_view text);
std::string percent_decode(std::string_view text);

// The status of a call whose server, or something before it, answered without a grpc-status
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
int grpc_code_of_http_status(uint16_t status);
// The status of a call whose stream or connection ended with this error.
int grpc_code_of_error(const Error& error);
// The number in grpc-status; -1 when it is none.
int parse_grpc_status(std::string_view text);

}  // namespace pillion::rpc
