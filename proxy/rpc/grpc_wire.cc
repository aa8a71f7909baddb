#include "proxy/rpc/grpc_wire.h"

#include <algorithm>
#include <charconv>

namespace pillion::rpc {
namespace {

constexpr size_t kReserveBytesMax = 1 << 20;  // a length that is only claimed gets no more memory than this at once

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

GrpcReader::Result GrpcReader::next(Chain& in) {
  if (complete_) {
    complete_ = false;
    head_used_ = 0;
    message_.clear();
    if (message_.capacity() > kReserveBytesMax) message_.shrink_to_fit();
  }
  if (head_used_ < kHeadBytes) {
    const size_t n = in.copy_out({head_ + head_used_, kHeadBytes - head_used_});
    in.drain(n);
    head_used_ += n;
    if (head_used_ < kHeadBytes) return Result::need_more;
    if (head_[0] != 0) return Result::compressed;
    length_ = 0;
    for (size_t i = 1; i < kHeadBytes; ++i) length_ = length_ << 8 | static_cast<uint8_t>(head_[i]);
    if (length_ > max_) return Result::too_large;
    message_.reserve(std::min(length_, kReserveBytesMax));
  }
  while (message_.size() < length_ && !in.empty()) {
    const std::string_view piece = in.front().substr(0, length_ - message_.size());
    message_.append(piece);
    in.drain(piece.size());
  }
  if (message_.size() < length_) return Result::need_more;
  complete_ = true;
  return Result::message;
}

void append_grpc_message(ChunkPool& chunks, Chain& out, std::string_view message) {
  const auto n = static_cast<uint32_t>(message.size());
  const char head[GrpcReader::kHeadBytes] = {0, static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                                             static_cast<char>(n >> 8), static_cast<char>(n)};
  out.append(chunks, {head, sizeof(head)});
  out.append(chunks, message);
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<uint8_t>(c);
    if (octet >= 0x20 && octet <= 0x7e && c != '%') {
      out += c;
    } else {
      out += {'%', kDigits[octet >> 4], kDigits[octet & 15]};
    }
  }
  return out;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      const int high = hex_value(text[i + 1]);
      const int low = hex_value(text[i + 2]);
      if (high >= 0 && low >= 0) {
        out += static_cast<char>(high << 4 | low);
        i += 2;
        continue;
      }
    }
    out += text[i];
  }
  return out;
}

int grpc_code_of_http_status(uint16_t status) {
  switch (status) {
    case 400: return kGrpcInternal;
    case 401: return kGrpcUnauthenticated;
    case 403: return kGrpcPermissionDenied;
    case 404: return kGrpcUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504: return kGrpcUnavailable;
    default: return kGrpcUnknown;
  }
}

int grpc_code_of_error(const Error& error) {
  switch (error.code) {
    case Code::stream_reset:
    case Code::bad_message:
    case Code::body_length_mismatch:
    case Code::head_too_large:
    case Code::internal: return kGrpcInternal;
    case Code::flood:
    case Code::resource_limit: return kGrpcResourceExhausted;
    default: return kGrpcUnavailable;
  }
}

int parse_grpc_status(std::string_view text) {
  int code = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code);
  return error == std::errc() && end == text.data() + text.size() && code >= 0 ? code : -1;
}

}  // namespace pillion::rpc
