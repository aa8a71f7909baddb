#include "proxy/net/client_hello.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace pillion::net {
namespace {

constexpr uint8_t kRecordHandshake = 22;  // RFC 8446 5.1
constexpr size_t kRecordHeaderBytes = 5;
constexpr size_t kRecordBytesMax = 16 * 1024;
constexpr uint8_t kMessageClientHello = 1;  // RFC 8446 4
constexpr size_t kMessageHeaderBytes = 4;
constexpr uint32_t kExtensionServerName = 0;  // RFC 6066 3
constexpr uint32_t kExtensionAlpn = 16;       // RFC 7301 3.1
constexpr uint32_t kNameTypeHost = 0;
constexpr size_t kSniBytesMax = 255;

// Takes numbers and vectors off the front; none when there are too few bytes.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }

  std::optional<std::string_view> take(size_t n) {
    if (n > bytes_.size()) return std::nullopt;
    const std::string_view out = bytes_.substr(0, n);
    bytes_.remove_prefix(n);
    return out;
  }
  std::optional<uint32_t> number(size_t octets) {
    const auto raw = take(octets);
    if (!raw) return std::nullopt;
    uint32_t out = 0;
    for (const char c : *raw) out = out << 8 | static_cast<uint8_t>(c);
    return out;
  }
  std::optional<std::string_view> vector(size_t length_octets) {
    const auto n = number(length_octets);
    return n ? take(*n) : std::nullopt;
  }

 private:
  std::string_view bytes_;
};

enum class Parse : uint8_t { ok, more, bad };

// Puts the handshake message together from its records.
Parse join_records(std::string_view bytes, std::string& message) {
  size_t needed = kMessageHeaderBytes;
  while (message.size() < needed) {
    if (bytes.empty()) return Parse::more;
    if (static_cast<uint8_t>(bytes[0]) != kRecordHandshake) return Parse::bad;
    if (bytes.size() > 1 && bytes[1] != 3) return Parse::bad;  // every version of TLS
    if (bytes.size() < kRecordHeaderBytes) return Parse::more;
    const size_t length = static_cast<size_t>(static_cast<uint8_t>(bytes[3])) << 8 | static_cast<uint8_t>(bytes[4]);
    if (length == 0 || length > kRecordBytesMax) return Parse::bad;
    const std::string_view content = bytes.substr(kRecordHeaderBytes, length);
    message += content;
    if (!message.empty() && static_cast<uint8_t>(message[0]) != kMessageClientHello) return Parse::bad;
    if (message.size() >= kMessageHeaderBytes) {
      Reader header(std::string_view(message).substr(1));
      needed = kMessageHeaderBytes + *header.number(3);
      if (needed > ClientHello::kBytesMax) return Parse::bad;
    }
    bytes.remove_prefix(kRecordHeaderBytes + content.size());  // a part of a record is the last one
    if (content.size() < length && message.size() < needed) return Parse::more;
  }
  message.resize(needed);
  return Parse::ok;
}

bool read_server_name(std::string_view extension, ClientHello& out) {
  const auto list = Reader(extension).vector(2);
  if (!list) return false;
  Reader names(*list);
  while (!names.empty()) {
    const auto type = names.number(1);
    const auto name = names.vector(2);
    if (!type || !name) return false;
    if (*type != kNameTypeHost) continue;
    if (name->empty() || name->size() > kSniBytesMax || name->find('\0') != std::string_view::npos) return false;
    if (!out.sni.empty()) return false;  // at most one of a type
    out.sni = *name;
    for (char& c : out.sni) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
    }
  }
  return true;
}

bool read_alpn(std::string_view extension, ClientHello& out) {
  const auto list = Reader(extension).vector(2);
  if (!list) return false;
  Reader names(*list);
  while (!names.empty()) {
    const auto name = names.vector(1);
    if (!name || name->empty()) return false;
    out.alpn.emplace_back(*name);
  }
  return true;
}

bool read_hello(std::string_view message, ClientHello& out) {
  Reader body(message.substr(kMessageHeaderBytes));
  if (!body.number(2) || !body.take(32) || !body.vector(1)) return false;  // version, random, session
  const auto suites = body.vector(2);
  const auto compressions = body.vector(1);
  if (!suites || suites->empty() || !compressions || compressions->empty()) return false;
  if (body.empty()) return true;  // TLS 1.2 without extensions
  const auto extensions = body.vector(2);
  if (!extensions || !body.empty()) return false;
  Reader rest(*extensions);
  bool has_name = false;
  bool has_alpn = false;
  while (!rest.empty()) {
    const auto type = rest.number(2);
    const auto content = rest.vector(2);
    if (!type || !content) return false;
    if (*type == kExtensionServerName && (std::exchange(has_name, true) || !read_server_name(*content, out)))
      return false;
    if (*type == kExtensionAlpn && (std::exchange(has_alpn, true) || !read_alpn(*content, out))) return false;
  }
  return true;
}

}  // namespace

ClientHello parse_client_hello(std::string_view bytes) {
  ClientHello out;
  std::string message;
  switch (join_records(bytes.substr(0, ClientHello::kBytesMax), message)) {
    case Parse::more:
      out.state = bytes.size() > ClientHello::kBytesMax ? ClientHello::State::not_tls : ClientHello::State::need_more;
      return out;
    case Parse::bad: out.state = ClientHello::State::not_tls; return out;
    case Parse::ok: break;
  }
  if (!read_hello(message, out)) return {.state = ClientHello::State::not_tls};
  out.state = ClientHello::State::complete;
  return out;
}

}  // namespace pillion::net
