#include "proxy/downstream/local_reply.h"

#include <cstring>
#include <string>

namespace pillion::downstream {
namespace {

// Envoy's names of what ended a stream.
std::string_view reset_reason(const Error& why) {
  switch (why.code) {
    case Code::connect_failed:
    case Code::tls_failed: return "remote connection failure";
    case Code::connect_timeout: return "connection timeout";
    case Code::stream_reset: return "remote reset";
    case Code::refused_stream: return "remote refused stream reset";
    case Code::overflow: return "overflow";
    case Code::bad_message:
    case Code::head_too_large:
    case Code::body_length_mismatch:
    case Code::unsupported:
    case Code::flow_control_error:
    case Code::flood:
    case Code::upgrade_refused: return "protocol error";
    default: return "connection termination";
  }
}

// Details are one word: what people read with spaces is joined by underscores.
std::string_view as_details(std::string_view prefix, const Error& why, std::string_view transport_failure,
                            Arena& arena) {
  std::string text(prefix);
  const size_t from = text.size();
  text += reset_reason(why);
  if (!transport_failure.empty()) {
    text += '|';
    text += transport_failure;
  }
  for (size_t i = from; i < text.size(); ++i) {
    if (text[i] == ' ' || text[i] == '\n' || text[i] == '\t') text[i] = '_';
  }
  text += '}';
  return arena.copy(text);
}

// gRPC's percent-encoding of a message: what is not printable ASCII, and '%' itself.
std::string_view encode_grpc_message(std::string_view text, Arena& arena) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 0x20 && u <= 0x7e && c != '%') {
      out += c;
    } else {
      out += '%';
      out += kHex[u >> 4];
      out += kHex[u & 15];
    }
  }
  return arena.copy(out);
}

std::string_view decimal(int value, Arena& arena) {
  return arena.copy(std::to_string(value));
}

}  // namespace

LocalReply reply_to_refusal(const Error& why, http::Version version) {
  const bool http2 = version == http::Version::http2;
  switch (why.code) {
    case Code::head_too_large:
      return {.status = 431,
              .body = "Request Header Fields Too Large",
              .details = http2 ? "http2.headers_too_large" : "http1.headers_too_large",
              .ends_connection = !http2};
    case Code::unsupported:
      if (http2) return {.status = 501, .body = "Not Implemented", .details = "http2.unsupported"};
      return {.status = 426, .body = "Upgrade Required", .details = "low_version", .ends_connection = true};
    default:
      return {.status = 400,
              .body = "Bad Request",
              .details = http2 ? "http2.violation.of.messaging.rule" : "http1.codec_error",
              .ends_connection = !http2};
  }
}

LocalReply reply_to_failure(const Error& why, bool retried, std::string_view transport_failure, Arena& arena) {
  switch (why.code) {
    case Code::no_healthy_upstream:
      return {.status = 503, .body = "no healthy upstream", .details = "no_healthy_upstream"};
    case Code::no_cluster: return {.status = 503, .details = "cluster_not_found"};
    case Code::request_timeout:
      return {.status = 504, .body = "upstream request timeout", .details = "response_timeout"};
    case Code::per_try_timeout:
      return {.status = 504, .body = "upstream request timeout", .details = "upstream_per_try_timeout"};
    default: break;
  }
  const std::string_view reason = reset_reason(why);
  LocalReply reply{.status = static_cast<uint16_t>(reason == "protocol error" ? 502 : 503)};
  reply.overloaded = why.code == Code::overflow;
  reply.details = as_details("upstream_reset_before_response_started{", why, transport_failure, arena);
  const std::string_view how = retried ? "retried and the latest reset reason: " : "reset reason: ";
  // What the transport said is for the log: it tells of the mesh's inside.
  reply.body = arena.concat({"upstream connect error or disconnect/reset before headers. ", how, reason});
  return reply;
}

std::string_view details_of_broken_response(const Error& why, Arena& arena) {
  if (why.code == Code::request_timeout) return "response_timeout";
  if (why.code == Code::per_try_timeout) return "upstream_per_try_timeout";
  return as_details("upstream_reset_after_response_started{", why, "", arena);
}

std::string_view transport_failure_of(const Error& why, Arena& arena) {
  if (why.code == Code::tls_failed) return arena.concat({"TLS_error: ", why.what});
  if (why.code != Code::connect_failed || why.os == 0) return "";
  return arena.concat({"delayed connect error: ", strerrordesc_np(why.os < 0 ? -why.os : why.os)});
}

int grpc_status_of(uint16_t http_status) {
  switch (http_status) {
    case 400: return 13;  // INTERNAL
    case 401: return 16;  // UNAUTHENTICATED
    case 403: return 7;   // PERMISSION_DENIED
    case 404: return 12;  // UNIMPLEMENTED
    case 429:
    case 502:
    case 503:
    case 504: return 14;  // UNAVAILABLE
    default: return 2;    // UNKNOWN
  }
}

std::string_view write_local_reply(const LocalReply& reply, bool is_grpc, http::ResponseHead& head) {
  Arena& arena = head.headers.arena();
  if (!reply.location.empty()) head.headers.add(http::HeaderId::location, reply.location);
  if (reply.overloaded) head.headers.add(http::HeaderId::x_envoy_overloaded, "true");
  if (is_grpc) {
    head.status = 200;
    head.headers.add(http::HeaderId::content_type, "application/grpc");
    const int status = reply.grpc_status >= 0 ? reply.grpc_status : grpc_status_of(reply.status);
    head.headers.add(http::HeaderId::grpc_status, decimal(status, arena));
    if (!reply.body.empty()) head.headers.add(http::HeaderId::grpc_message, encode_grpc_message(reply.body, arena));
    return "";
  }
  head.status = reply.status;
  if (reply.body.empty()) return "";
  head.headers.add(http::HeaderId::content_type, "text/plain");
  head.content_length = reply.body.size();
  return reply.body;
}

}  // namespace pillion::downstream
