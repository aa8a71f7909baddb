// HTTP/2 frames written by hand, for peers that do not behave, and a pair of codecs wired to each other.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http/codec.h"
#include "proxy/http/detect.h"
#include "tests/unit/http/codec_harness.h"

namespace pillion::http::test {

enum : uint8_t {
  kDataFrame = 0,
  kHeadersFrame = 1,
  kPriorityFrame = 2,
  kResetFrame = 3,
  kSettingsFrame = 4,
  kPingFrame = 6,
  kGoawayFrame = 7,
  kWindowFrame = 8,
  kContinuationFrame = 9
};
enum : uint8_t { kEndStream = 1, kAck = 1, kEndHeaders = 4 };

inline std::string u32(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8), static_cast<char>(n)};
}

inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
  const std::string length = u32(static_cast<uint32_t>(payload.size()));
  return length.substr(1) + static_cast<char>(type) + static_cast<char>(flags) + u32(stream) + std::string(payload);
}

// HPACK without a table: literals that are not indexed, lengths with the 7-bit prefix of RFC 7541 5.1.
inline std::string hpack_string(std::string_view s) {
  std::string out;
  if (s.size() < 127) {
    out += static_cast<char>(s.size());
  } else {
    out += 127;
    size_t rest = s.size() - 127;
    for (; rest >= 128; rest /= 128) out += static_cast<char>(rest % 128 + 128);
    out += static_cast<char>(rest);
  }
  return out + std::string(s);
}

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string hpack(const Fields& fields) {
  std::string out;
  for (const auto& [name, value] : fields) out += std::string(1, '\0') + hpack_string(name) + hpack_string(value);
  return out;
}

inline std::string headers(uint32_t stream, const Fields& fields, bool end) {
  return frame(kHeadersFrame, kEndHeaders | (end ? kEndStream : 0), stream, hpack(fields));
}

inline const Fields kGet = {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}};
inline const Fields kPost = {{":method", "POST"}, {":scheme", "http"}, {":path", "/"}, {":authority", "a"}};

inline Fields plus(Fields fields, Fields more) {
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

inline std::string preface() {
  return std::string(kH2Preface) + frame(kSettingsFrame, 0, 0, "");
}

struct Frame {
  uint8_t type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
  uint32_t number(size_t at) const {
    uint32_t n = 0;
    for (size_t i = at; i < at + 4; ++i) n = n << 8 | static_cast<uint8_t>(payload.at(i));
    return n;
  }
};

// The frames of a server's or client's output.
inline std::vector<Frame> frames(std::string_view bytes) {
  if (bytes.starts_with(kH2Preface)) bytes.remove_prefix(kH2Preface.size());
  std::vector<Frame> out;
  while (bytes.size() >= 9) {
    auto octet = [&](size_t i) { return static_cast<uint8_t>(bytes[i]); };
    const size_t n = size_t{octet(0)} << 16 | size_t{octet(1)} << 8 | octet(2);
    const uint32_t id = uint32_t{octet(5)} << 24 | uint32_t{octet(6)} << 16 | uint32_t{octet(7)} << 8 | octet(8);
    out.push_back({octet(3), octet(4), id, std::string(bytes.substr(9, n))});
    bytes.remove_prefix(std::min(bytes.size(), 9 + n));
  }
  return out;
}

// A server that hand-made frames are fed to.
struct RawServer {
  explicit RawServer(const CodecLimits& limits = {}) : codec(make_h2_server(pool, users, limits)) { feed(preface()); }
  Expected<void> feed(std::string_view bytes) {
    Chain in = chain(pool, bytes);
    return codec->feed(in);
  }
  std::vector<Frame> output() { return frames(take_output(*codec)); }
  // The error code of the first frame of that type, or -1.
  int64_t sent(uint8_t type) {
    for (const Frame& f : output()) {
      if (f.type == type) return f.number(type == kGoawayFrame ? 4 : 0);
    }
    return -1;
  }
  ServerUser& user(size_t i = 0) { return *users.users.at(i); }

  ChunkPool pool;
  ServerUsers users;
  std::unique_ptr<ServerCodec> codec;
};

// A client and a server with a wire between them.
struct Pair {
  explicit Pair(const CodecLimits& server_limits = {}, const CodecLimits& client_limits = {})
      : server(make_h2_server(pool, users, server_limits)), client(make_h2_client(pool, client_limits)) {}

  ClientUser& start() {
    clients.push_back(std::make_unique<ClientUser>());
    clients.back()->stream = &client->start(*clients.back());
    return *clients.back();
  }
  RequestHead head(ClientUser& user, std::string_view method = "GET", std::string_view path = "/") {
    RequestHead h(user.arena());
    h.method = method;
    h.scheme = "http";
    h.authority = "a";
    h.path = path;
    return h;
  }
  ResponseHead answer(ServerUser& user, uint16_t status = 200) {
    ResponseHead h(user.arena());
    h.status = status;
    return h;
  }
  ClientUser& request(std::string_view method = "GET", bool end = true) {
    ClientUser& user = start();
    user.stream->send_head(head(user, method), end);
    pump();
    return user;
  }

  // Carries bytes until neither side has any more, in pieces of at most `cut`.
  void pump(size_t cut = SIZE_MAX) {
    for (bool moved = true; moved;) {
      const bool up = carry(*client, *server, cut);
      const bool down = carry(*server, *client, cut);
      moved = up || down;
    }
  }
  bool carry(Codec& from, Codec& to, size_t cut) {
    Chain wire;
    if (from.wants_produce()) from.produce(wire, 64 * 1024);
    const bool moved = !wire.empty();
    while (!wire.empty()) {
      Chain piece;
      wire.move_front(std::min(cut, wire.size()), piece);
      const Expected<void> fed = to.feed(piece);
      if (!fed) errors += text(fed.error()) + "\n";
    }
    return moved;
  }
  ServerUser& user(size_t i = 0) { return *users.users.at(i); }

  ChunkPool pool;
  ServerUsers users;
  std::vector<std::unique_ptr<ClientUser>> clients;
  std::unique_ptr<ServerCodec> server;
  std::unique_ptr<ClientCodec> client;
  std::string errors;
};

}  // namespace pillion::http::test
