// Paths and hosts in one spelling, so that a policy and the application behind it read the same thing.
#include <algorithm>
#include <charconv>

#include "proxy/downstream/forwarded.h"

namespace pillion::downstream {
namespace {

using config::HttpConnectionManager;

constexpr LocalReply kRefusedPath{.status = 400, .details = "path_normalization_failed", .ends_connection = true};

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The byte that an escape at `at` stands for; -1 where there is none.
int escaped_at(std::string_view s, size_t at) {
  if (at + 2 >= s.size() || s[at] != '%') return -1;
  const int high = hex_value(s[at + 1]);
  const int low = hex_value(s[at + 2]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

bool is_unreserved(int c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

bool is_slash(char c) {
  return c == '/' || c == '\\';
}

bool must_be_escaped(unsigned char c) {
  return c <= 0x20 || c >= 0x7f || std::string_view("\"#<>`{|}^").find(static_cast<char>(c)) != std::string_view::npos;
}

// How many dots, plain or escaped, stand at `at`, and where they end; a segment of one or two is special.
size_t count_dots(std::string_view s, size_t& at) {
  size_t dots = 0;
  while (at < s.size()) {
    if (s[at] == '.') {
      ++at;
    } else if (escaped_at(s, at) == '.') {
      at += 3;
    } else {
      break;
    }
    ++dots;
  }
  return dots;
}

// The segment at `at`, if it is "." or ".."; then `at` moves behind it and its slash, and `out` is what it leaves.
bool resolve_dots(std::string_view s, size_t& at, std::string& out) {
  size_t end = at;
  const size_t dots = count_dots(s, end);
  if (dots == 0 || dots > 2 || (end < s.size() && !is_slash(s[end]))) return false;
  if (dots == 2) {
    const size_t slash = out.size() > 1 ? out.rfind('/', out.size() - 2) : std::string::npos;
    out.resize(slash == std::string::npos ? 1 : slash + 1);
  }
  at = end < s.size() ? end + 1 : end;
  return true;
}

void append_escaped(std::string& out, unsigned char c) {
  constexpr char kHex[] = "0123456789ABCDEF";
  out += '%';
  out += kHex[c >> 4];
  out += kHex[c & 15];
}

std::string_view unescape_slashes(std::string_view path, Arena& arena) {
  std::string out;
  for (size_t i = 0; i < path.size(); ++i) {
    const int byte = escaped_at(path, i);
    if (byte == '/' || byte == '\\') {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += path[i];
    }
  }
  return arena.copy(out);
}

bool has_escaped_slash(std::string_view path) {
  for (size_t i = path.find('%'); i != std::string_view::npos; i = path.find('%', i + 1)) {
    const int byte = escaped_at(path, i);
    if (byte == '/' || byte == '\\') return true;
  }
  return false;
}

std::string_view merge_slashes(std::string_view path, Arena& arena) {
  if (path.find("//") == std::string_view::npos) return path;
  std::string out;
  for (const char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  }
  return arena.copy(out);
}

std::optional<LocalReply> normalise_path(const HttpConnectionManager& manager, http::RequestHead& head) {
  if (head.path.empty() || head.path[0] != '/') return std::nullopt;  // CONNECT, OPTIONS *
  if (head.path.find('#') != std::string_view::npos) return kRefusedPath;
  using Escaped = HttpConnectionManager::EscapedSlashes;
  Arena& arena = head.headers.arena();
  const std::string_view before = http::path_without_query(head.path);
  const std::string_view query = head.path.substr(before.size());
  std::string_view path = before;
  bool redirect = false;
  if (manager.escaped_slashes != Escaped::keep && has_escaped_slash(path)) {
    if (manager.escaped_slashes == Escaped::reject) return kRefusedPath;
    path = unescape_slashes(path, arena);
    redirect = manager.escaped_slashes == Escaped::unescape_redirect;
  }
  if (manager.normalize_path) {
    const std::optional<std::string_view> canonical = canonical_path(path, arena);
    if (!canonical) return kRefusedPath;
    path = *canonical;
  }
  if (manager.merge_slashes) path = merge_slashes(path, arena);
  if (path.data() == before.data() && path.size() == before.size()) return std::nullopt;
  head.path = arena.concat({path, query});
  if (!redirect) return std::nullopt;
  return LocalReply{.status = 307, .details = "path_normalization_failed", .location = head.path};
}

// Where ":port" begins; npos without one.
size_t port_colon(std::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == std::string_view::npos || authority.find(']', colon) != std::string_view::npos) {
    return std::string_view::npos;
  }
  const std::string_view port = authority.substr(colon + 1);
  const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
  return digits ? colon : std::string_view::npos;
}

void normalise_host(const HttpConnectionManager& manager, uint16_t local_port, http::RequestHead& head) {
  if (head.method == "CONNECT" || head.authority.empty()) return;
  if (manager.strip_any_host_port || manager.strip_matching_host_port) {
    const size_t colon = port_colon(head.authority);
    if (colon != std::string_view::npos) {
      uint32_t port = 0;
      std::from_chars(head.authority.data() + colon + 1, head.authority.data() + head.authority.size(), port);
      if (manager.strip_any_host_port || port == local_port) head.authority = head.authority.substr(0, colon);
    }
  }
  if (!manager.strip_trailing_host_dot) return;
  const size_t colon = std::min(port_colon(head.authority), head.authority.size());
  if (colon > 0 && head.authority[colon - 1] == '.') {
    head.authority = head.headers.arena().concat({head.authority.substr(0, colon - 1), head.authority.substr(colon)});
  }
}

}  // namespace

std::optional<std::string_view> canonical_path(std::string_view path, Arena& arena) {
  const bool plain = std::none_of(path.begin(), path.end(), [](char c) {
    return c == '%' || c == '\\' || c == '.' || must_be_escaped(static_cast<unsigned char>(c));
  });
  if (plain) return path;
  std::string out;
  out.reserve(path.size());
  size_t at = 0;
  while (at < path.size()) {
    if (!out.empty() && out.back() == '/' && resolve_dots(path, at, out)) continue;
    const int byte = escaped_at(path, at);
    if (byte == 0) return std::nullopt;
    if (byte > 0 && is_unreserved(byte)) {
      out += static_cast<char>(byte);
      at += 3;
    } else if (is_slash(path[at])) {
      out += '/';
      ++at;
    } else if (must_be_escaped(static_cast<unsigned char>(path[at]))) {
      append_escaped(out, static_cast<unsigned char>(path[at++]));
    } else {
      out += path[at++];
    }
  }
  return arena.copy(out);
}

std::optional<LocalReply> normalise_request(const HttpConnectionManager& manager, uint16_t local_port,
                                            http::RequestHead& head) {
  using Underscores = HttpConnectionManager::Underscores;
  if (manager.headers_with_underscores != Underscores::allow) {
    const auto has_underscore = [](const http::Header& h) { return h.name.find('_') != std::string_view::npos; };
    if (manager.headers_with_underscores == Underscores::drop_header) {
      head.headers.remove_if(has_underscore);
    } else if (std::any_of(head.headers.begin(), head.headers.end(), has_underscore)) {
      return LocalReply{
          .status = 400, .body = "Bad Request", .details = "http1.unexpected_underscore", .ends_connection = true};
    }
  }
  if (auto reply = normalise_path(manager, head)) return reply;
  normalise_host(manager, local_port, head);
  return std::nullopt;
}

}  // namespace pillion::downstream
