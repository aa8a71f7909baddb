#include "proxy/http/validate.h"

#include <algorithm>
#include <array>

namespace pillion::http {
namespace {

constexpr std::array<bool, 256> make_host_chars() {
  std::array<bool, 256> ok{};
  for (int c = '0'; c <= '9'; ++c) ok[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) ok[c] = ok[c - 'a' + 'A'] = true;
  for (const char c : std::string_view("-._~%!$&'()*+;=")) ok[static_cast<unsigned char>(c)] = true;
  return ok;
}
constexpr std::array<bool, 256> kHostChars = make_host_chars();

bool is_digits(std::string_view s) {
  return std::ranges::all_of(s, [](char c) { return c >= '0' && c <= '9'; });
}

bool is_port(std::string_view s) {
  return s.empty() || (s[0] == ':' && s.size() <= 6 && is_digits(s.substr(1)));
}

bool is_ipv6_octet(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.' || c == '%';
}

}  // namespace

bool is_authority(std::string_view s) {
  if (s.empty()) return false;
  if (s[0] == '[') {
    const size_t close = s.find(']');
    if (close == std::string_view::npos || close == 1) return false;
    return std::ranges::all_of(s.substr(1, close - 1), is_ipv6_octet) && is_port(s.substr(close + 1));
  }
  const size_t colon = s.find(':');
  const std::string_view host = s.substr(0, colon);
  if (host.empty() || !is_port(colon == std::string_view::npos ? std::string_view() : s.substr(colon))) return false;
  return std::ranges::all_of(host, [](char c) { return kHostChars[static_cast<unsigned char>(c)]; });
}

bool is_request_path(std::string_view path, std::string_view method) {
  if (path == "*") return method == "OPTIONS";
  if (path.empty() || path[0] != '/') return false;
  return std::ranges::all_of(path, [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u > 0x20 && u != 0x7f && u != '#';
  });
}

bool is_connection_specific(HeaderId id) {
  switch (id) {
    case HeaderId::connection:
    case HeaderId::keep_alive:
    case HeaderId::proxy_connection:
    case HeaderId::transfer_encoding:
    case HeaderId::upgrade:
    case HeaderId::te:
    case HeaderId::http2_settings: return true;
    default: return false;
  }
}

bool is_written_by_codec(HeaderId id) {
  return id == HeaderId::content_length || id == HeaderId::host || id == HeaderId::x_pillion_http1 ||
         is_connection_specific(id);
}

bool may_be_trailer(const Header& header) {
  if (is_written_by_codec(header.id) || header.id == HeaderId::trailer) return false;
  if (header.id == HeaderId::authorization) return false;
  for (const std::string_view name : {"proxy-authorization", "proxy-authenticate", "www-authenticate"}) {
    if (equals_ignore_case(header.name, name)) return false;
  }
  return true;
}

bool is_protocol(std::string_view s) {
  const size_t slash = s.find('/');
  return is_token(s.substr(0, slash)) && (slash == std::string_view::npos || is_token(s.substr(slash + 1)));
}

std::optional<uint64_t> parse_decimal(std::string_view s) {
  constexpr uint64_t kMax = INT64_MAX;
  if (s.empty() || !is_digits(s)) return std::nullopt;
  uint64_t n = 0;
  for (const char c : s) {
    const auto digit = static_cast<uint64_t>(c - '0');
    if (n > (kMax - digit) / 10) return std::nullopt;
    n = n * 10 + digit;
  }
  return n;
}

std::string_view trim_ows(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

std::string_view next_element(std::string_view& list) {
  const size_t comma = list.find(',');
  const std::string_view element = list.substr(0, comma);
  list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
  return trim_ows(element);
}

bool list_has(std::string_view list, std::string_view element) {
  while (!list.empty()) {
    if (equals_ignore_case(next_element(list), element)) return true;
  }
  return false;
}

const char* find_fault(const HeaderMap& headers) {
  for (const Header& h : headers) {
    if (h.is_checked) continue;
    if (h.id == HeaderId::other && !is_token(h.name)) return "a header name is not a token";
    if (!is_field_value(h.value)) return "a header value has a control octet";
  }
  return nullptr;
}

const char* find_fault(const RequestHead& head) {
  if (!is_token(head.method)) return "the method is not a token";
  if (!head.authority.empty() && !is_authority(head.authority)) return "the authority is malformed";
  if (!head.scheme.empty() && head.scheme != "http" && head.scheme != "https") return "the scheme is not http";
  if (!is_field_value(head.upgrade)) return "the upgrade has a control octet";
  if (head.method == "CONNECT") {
    if (head.authority.empty()) return "CONNECT without an authority";
  } else if (!is_request_path(head.path, head.method)) {
    return "the path is malformed";
  }
  return find_fault(head.headers);
}

const char* find_fault(const ResponseHead& head) {
  if (head.status < 100 || head.status > 599) return "the status is out of range";
  if (!is_field_value(head.upgrade)) return "the upgrade has a control octet";
  return find_fault(head.headers);
}

}  // namespace pillion::http
