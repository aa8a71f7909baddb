#include "proxy/http/detect.h"

namespace pillion::http {
namespace {

// The methods that the HTTP/1 parser knows.
constexpr std::string_view kMethods[] = {
    "DELETE", "GET",   "HEAD",       "POST",       "PUT",       "CONNECT", "OPTIONS",     "TRACE",  "COPY",
    "LOCK",   "MKCOL", "MOVE",       "PROPFIND",   "PROPPATCH", "SEARCH",  "UNLOCK",      "BIND",   "REBIND",
    "UNBIND", "ACL",   "REPORT",     "MKACTIVITY", "CHECKOUT",  "MERGE",   "M-SEARCH",    "NOTIFY", "SUBSCRIBE",
    "PATCH",  "PURGE", "MKCALENDAR", "LINK",       "UNLINK",    "SOURCE",  "UNSUBSCRIBE", "QUERY",
};

bool is_prefix(std::string_view prefix, std::string_view of) {
  return prefix.size() <= of.size() && of.substr(0, prefix.size()) == prefix;
}

// The method with its space at the front of `line`; need_more while a longer line may still have one.
Detected match_method(std::string_view line, size_t& length) {
  bool possible = false;
  for (const std::string_view method : kMethods) {
    if (line.size() > method.size()) {
      if (is_prefix(method, line) && line[method.size()] == ' ') {
        length = method.size() + 1;
        return Detected::h1;
      }
    } else if (is_prefix(line, method)) {
      possible = true;
    }
  }
  return possible ? Detected::need_more : Detected::none;
}

Detected detect_h1(std::string_view bytes) {
  // RFC 9112 2.2: one empty line in front of a request is tolerated.
  if (is_prefix(bytes, "\r\n")) return Detected::need_more;
  if (is_prefix("\r\n", bytes)) bytes.remove_prefix(2);
  size_t method = 0;
  const Detected seen = match_method(bytes, method);
  if (seen != Detected::h1) return seen;
  const std::string_view rest = bytes.substr(method);
  for (size_t i = 0; i < rest.size(); ++i) {
    const auto c = static_cast<unsigned char>(rest[i]);
    if (c == '\r') {
      const std::string_view line = rest.substr(0, i);
      return line.ends_with(" HTTP/1.1") || line.ends_with(" HTTP/1.0") ? Detected::h1 : Detected::none;
    }
    if (c < 0x20 || c == 0x7f) return Detected::none;
    if (method + i >= kDetectBytesMax) return Detected::h1;
  }
  return Detected::need_more;
}

}  // namespace

Detected detect(std::string_view first_bytes) {
  if (first_bytes.size() >= kH2Preface.size()) {
    if (is_prefix(kH2Preface, first_bytes)) return Detected::h2;
  } else if (is_prefix(first_bytes, kH2Preface)) {
    return Detected::need_more;
  }
  return detect_h1(first_bytes);
}

}  // namespace pillion::http
