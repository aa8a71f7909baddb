// Frames of an HTTP/2 server to a client with several requests under way. The first byte says what they are, and
// whether the server is another Pillion that carries HTTP/1.
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

void run(std::string_view bytes, Cuts cuts, uint8_t how) {
  ChunkPool pool;
  ClientUser users[4];
  {
    CodecLimits limits{.head_bytes_max = 2000, .headers_max = 20};
    limits.carries_http1 = (how & 128) != 0;
    auto codec = make_h2_client(pool, limits);
    const char* const methods[] = {"GET", "POST", "HEAD", "CONNECT"};
    for (int i = 0; i < 4; ++i) {
      ClientUser& user = users[i];
      user.stream = &codec->start(user);
      RequestHead head(user.arena());
      head.method = methods[i];
      head.authority = "a:1";
      head.path = i == 3 ? "" : "/";
      head.headers.add("X-Sent", "1");
      if (i == 0 && (how & 1) != 0) head.upgrade = "websocket";
      user.stream->send_head(head, i != 1 && i != 3);
      if (i == 1) user.stream->send_body(chain(pool, std::string(100'000, 'x')), (how & 2) != 0);
      if (i == 3) user.stream->send_body(chain(pool, "early"), false);
    }
    take_output(*codec);
    while (!bytes.empty()) {
      const size_t n = cuts.next(bytes.size());
      Chain in = chain(pool, bytes.substr(0, n));
      bytes.remove_prefix(n);
      (void)codec->feed(in);
      PILLION_CHECK(in.empty());
      for (ClientUser& user : users) {
        if (user.stream == nullptr) continue;
        if ((how & 4) != 0) user.stream->consume(user.log.received);
        if ((how & 8) != 0 && (user.log.ended || user.log.reset)) std::exchange(user.stream, nullptr)->detach();
      }
      take_output(*codec);
    }
    if ((how & 16) != 0) codec->on_eof();
    for (ClientUser& user : users) {
      if (user.stream != nullptr) user.stream->detach();
    }
    PILLION_CHECK(codec->active_streams() == 0);
    take_output(*codec);
  }
  PILLION_CHECK(pool.live() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  run(bytes, {}, data[0]);
  run(bytes, {.random = Random(size)}, data[0]);
  return 0;
}
