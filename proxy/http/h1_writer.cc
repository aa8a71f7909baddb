#include "proxy/http/h1_writer.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>

#include "proxy/http/validate.h"

namespace pillion::http {

std::string_view reason_phrase(uint16_t status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 102: return "Processing";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 207: return "Multi-Status";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 511: return "Network Authentication Required";
    default: return "";
  }
}

void H1Output::put_slowly(std::string_view bytes) {
  commit();
  while (!bytes.empty()) {
    const std::span<char> room = out_.reserve(pool_, 1);
    const std::string_view piece = bytes.substr(0, room.size());
    room_ = room.data();
    room_end_ = room.data() + room.size();
    at_ = std::ranges::copy(piece, room_).out;
    bytes.remove_prefix(piece.size());
    if (!bytes.empty()) commit();
  }
}

void H1Output::commit() {
  if (at_ != room_) out_.commit(static_cast<size_t>(at_ - room_));
  room_ = at_ = room_end_ = nullptr;
}

void H1Output::put_number(uint64_t n, int base) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, n, base).ptr;
  put({digits, static_cast<size_t>(end - digits)});
}

void H1Output::put_field(std::string_view name, std::string_view value) {
  put(name);
  put(": ");
  put(value);
  put("\r\n");
}

void H1Output::put_headers(const HeaderMap& headers) {
  for (const Header& h : headers) {
    if (!is_written_by_codec(h.id)) put_field(h.name, h.value);
  }
}

void H1Output::put_status_line(uint16_t status) {
  put("HTTP/1.1 ");
  put_number(status, 10);
  put(" ");
  put(reason_phrase(status));
  put("\r\n");
}

void H1Output::start_body(H1Framing framing, uint64_t length) {
  framing_ = framing;
  length_left_ = length;
  if (framing == H1Framing::chunked) put("Transfer-Encoding: chunked\r\n");
  put("\r\n");
  commit();
}

void H1Output::write_request(const RequestHead& head, H1Framing framing, uint64_t length) {
  put(head.method);
  put(" ");
  put(head.method == "CONNECT" ? head.authority : head.path);
  put(" HTTP/1.1\r\n");
  put_field("Host", head.authority);
  put_headers(head.headers);
  if (!head.upgrade.empty()) {
    put_field("Connection", head.te_trailers ? "Upgrade, TE" : "Upgrade");
    put_field("Upgrade", head.upgrade);
  } else if (head.te_trailers) {
    put_field("Connection", "TE");
  }
  if (head.te_trailers) put_field("TE", "trailers");
  if (head.expects_continue && (framing == H1Framing::chunked || length > 0)) put_field("Expect", "100-continue");
  if (framing == H1Framing::length) {
    put("Content-Length: ");
    put_number(length, 10);
    put("\r\n");
  }
  start_body(framing, length);
}

void H1Output::write_response(const ResponseHead& head, H1Framing framing, uint64_t length, bool show_length,
                              std::string_view connection) {
  put_status_line(head.status);
  put_headers(head.headers);
  if (!connection.empty()) put_field("Connection", connection);
  if (framing == H1Framing::tunnel && !head.upgrade.empty()) put_field("Upgrade", head.upgrade);
  if (framing == H1Framing::length || show_length) {
    put("Content-Length: ");
    put_number(length, 10);
    put("\r\n");
  }
  start_body(framing, length);
}

void H1Output::write_informational(const ResponseHead& head) {
  put_status_line(head.status);
  put_headers(head.headers);
  put("\r\n");
  commit();
}

const char* H1Output::write_body(Chain&& data, bool end) {
  switch (framing_) {
    case H1Framing::none: data.clear(); return nullptr;
    case H1Framing::length:
      if (data.size() > length_left_) return "the body is longer than its Content-Length";
      length_left_ -= data.size();
      out_.append(std::move(data));
      return end && length_left_ > 0 ? "the body is shorter than its Content-Length" : nullptr;
    case H1Framing::chunked:
      if (!data.empty()) {
        put_number(data.size(), 16);
        put("\r\n");
        commit();
        out_.append(std::move(data));
        put("\r\n");
      }
      if (end) put("0\r\n\r\n");
      commit();
      return nullptr;
    case H1Framing::until_close:
    case H1Framing::tunnel: out_.append(std::move(data)); return nullptr;
  }
  return nullptr;
}

const char* H1Output::write_trailers(const HeaderMap& trailers) {
  if (framing_ != H1Framing::chunked) return write_body({}, true);
  if (const char* fault = find_fault(trailers)) return fault;
  put("0\r\n");
  for (const Header& h : trailers) {
    if (may_be_trailer(h)) put_field(h.name, h.value);
  }
  put("\r\n");
  commit();
  return nullptr;
}

void H1Output::produce(Chain& out, size_t budget) {
  out_.move_front(std::min(budget, out_.size()), out);
}

}  // namespace pillion::http
