// Bytes of an HTTP/1 server, whole and cut at random: the events must be the same. The first byte says what was asked.
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "tests/unit/http/codec_harness.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

std::string run(std::string_view bytes, Cuts cuts, uint8_t ask) {
  const CodecLimits limits{.head_bytes_max = 2000, .headers_max = 20};
  const char* const methods[] = {"GET", "HEAD", "CONNECT", "GET"};
  ChunkPool pool;
  std::string log;
  {
    auto codec = make_h1_client(pool, limits);
    ClientUser user;
    user.stream = &codec->start(user);
    RequestHead head(user.arena());
    head.method = methods[ask & 3];
    head.authority = "a:1";
    head.path = head.method == "CONNECT" ? "" : "/";
    if ((ask & 3) == 3) head.upgrade = "websocket";
    user.stream->send_head(head, (ask & 3) < 2);
    if ((ask & 3) >= 2) user.stream->send_body(chain(pool, "early"), (ask & 8) != 0);
    take_output(*codec);
    while (!bytes.empty()) {
      const size_t n = cuts.next(bytes.size());
      Chain in = chain(pool, bytes.substr(0, n));
      (void)codec->feed(in);
      PILLION_CHECK(in.empty());
      bytes.remove_prefix(n);
    }
    if ((ask & 4) != 0) codec->on_eof();
    log = user.log.take() + take_output(*codec);
    user.stream->detach();
    log += codec->is_finished() ? "finished" : "reusable";
    // What is pooled again must have been answered in full.
    PILLION_CHECK(codec->is_finished() || (user.log.ended && !user.log.reset));
  }
  PILLION_CHECK(pool.live() == 0);
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string whole = run(bytes, {}, data[0]);
  PILLION_CHECK(run(bytes, {.size = 1}, data[0]) == whole);
  PILLION_CHECK(run(bytes, {.random = Random(size)}, data[0]) == whole);
  return 0;
}
