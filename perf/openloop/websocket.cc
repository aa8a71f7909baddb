#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "perf/openloop/drivers.h"

namespace openloop {

namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kMagic = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, 1.3
constexpr size_t kSmallest = 2, kMask = 4;

std::string accept_of(std::string_view key) {
  std::string text = std::string(key) + std::string(kMagic);
  unsigned char hash[SHA_DIGEST_LENGTH], out[64];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash);
  int size = EVP_EncodeBlock(out, hash, sizeof hash);
  return {reinterpret_cast<char*>(out), static_cast<size_t>(size)};
}

// A binary frame, whole, of at most 65535 bytes. A client's payload is masked.
std::string frame_of(std::string payload, bool masked) {
  std::string frame = "\x82";
  char bit = masked ? '\x80' : '\0';
  if (payload.size() < 126) {
    frame += static_cast<char>(bit | static_cast<char>(payload.size()));
  } else {
    frame += static_cast<char>(bit | 126);
    frame += static_cast<char>(payload.size() >> 8);
    frame += static_cast<char>(payload.size() & 255);
  }
  if (masked) {
    constexpr char kMaskBytes[] = {'\x37', '\x1a', '\x05', '\x61'};
    frame.append(kMaskBytes, kMask);
    for (size_t i = 0; i < payload.size(); i++) payload[i] = static_cast<char>(payload[i] ^ kMaskBytes[i % kMask]);
  }
  return frame + payload;
}

// Takes one frame from the front; false when it is not whole yet.
bool take_frame(std::string& bytes, std::string& payload) {
  if (bytes.size() < kSmallest) return false;
  bool masked = bytes[1] & 0x80;
  size_t size = bytes[1] & 0x7f, at = kSmallest;
  if (size == 127) spoil("a frame larger than any that was sent");
  if (size == 126) {
    if (bytes.size() < 4) return false;
    size = static_cast<size_t>(static_cast<unsigned char>(bytes[2])) << 8 | static_cast<unsigned char>(bytes[3]);
    at = 4;
  }
  size_t whole = at + (masked ? kMask : 0) + size;
  if (bytes.size() < whole) return false;
  payload.assign(bytes, whole - size, size);
  if (masked)
    for (size_t i = 0; i < size; i++) payload[i] = static_cast<char>(payload[i] ^ bytes[at + i % kMask]);
  bytes.erase(0, whole);
  return true;
}

// Either end of a tunnel: the head of an upgrade first, frames after it.
class Endpoint : public LinkEvents {
 public:
  Endpoint(Poller& poller) : link(poller, *this) {}
  virtual ~Endpoint() = default;
  virtual void on_head(const std::string& head) = 0;
  virtual void on_frame(const std::string& payload) = 0;

  void on_bytes(std::string_view bytes) override {
    input_ += bytes;
    if (!upgraded_) {
      size_t end = input_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      upgraded_ = true;
      std::string head = input_.substr(0, end + 4);
      input_.erase(0, end + 4);
      on_head(head);
    }
    for (std::string payload; take_frame(input_, payload);) on_frame(payload);
  }

  Link link;

 private:
  std::string input_;
  bool upgraded_ = false;
};

struct Count {
  uint64_t frames = 0, end_ns = 0;
  size_t upgraded = 0;
};

class Sender final : public Endpoint {
 public:
  Sender(Poller& poller, const Target& target, size_t frame_bytes, Count& count)
      : Endpoint(poller),
        target_(target),
        payload_(frame_bytes, 'w'),
        frame_(frame_of(payload_, true)),
        count_(count) {}
  void on_open() override {
    link.write("GET / HTTP/1.1\r\nHost: " + target_.authority +
               "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " +
               std::string(kKey) + "\r\n\r\n");
  }
  void on_head(const std::string& head) override {
    if (!head.starts_with("HTTP/1.1 101 ")) spoil("no upgrade: " + head);
    count_.upgraded++;
    link.write(frame_);
  }
  void on_frame(const std::string& payload) override {
    if (payload != payload_) spoil("a frame came back changed");
    count_.frames++;
    if (now_ns() < count_.end_ns) link.write(frame_);
  }
  void on_closed(const std::string& why) override { spoil("closed: " + why); }

 private:
  const Target& target_;
  std::string payload_, frame_;
  Count& count_;
};

class Echo final : public Endpoint {
 public:
  using Endpoint::Endpoint;
  void on_open() override {}
  void on_head(const std::string& head) override {
    size_t at = head.find("ey: " + std::string(kKey));
    std::string key = at == std::string::npos ? "" : std::string(kKey);
    link.write(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " +
        accept_of(key) + "\r\n\r\n");
  }
  void on_frame(const std::string& payload) override { link.write(frame_of(payload, false)); }
  void on_closed(const std::string&) override { link.close(); }
};

}  // namespace

uint64_t websocket_loop(Poller& poller, const Target& target, int connections, size_t frame_bytes, double seconds) {
  Count count;
  count.end_ns = now_ns() + static_cast<uint64_t>(seconds * 1e9);
  std::vector<std::unique_ptr<Sender>> senders;
  for (int i = 0; i < connections; i++) {
    senders.push_back(std::make_unique<Sender>(poller, target, frame_bytes, count));
    senders.back()->link.connect(target.address, target.context, nullptr);
  }
  while (now_ns() < count.end_ns) poller.wait(count.end_ns);
  if (count.upgraded < senders.size()) spoil("not every connection was upgraded");
  return count.frames;
}

void websocket_echo(const sockaddr_in& address) {
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 || listen(listener, 1024) < 0)
    spoil(std::string("listen: ") + strerror(errno));
  Poller poller;
  std::vector<std::unique_ptr<Echo>> all;  // Of a run, which is short: none is freed before its end.
  for (;;) {
    for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
      all.push_back(std::make_unique<Echo>(poller));
      all.back()->link.adopt(fd);
    }
    poller.wait(now_ns() + 1'000'000);
  }
}

}  // namespace openloop
