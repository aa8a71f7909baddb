// Frames of an HTTP/2 client. The preface is put in front, so that the fuzzer need not find it. The first byte says how
// the users answer, and whether the client is another Pillion that carries HTTP/1.
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "tests/unit/http/h2_wire.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

void act(ServerUser& user, ChunkPool& pool, uint8_t how) {
  if (user.stream == nullptr) return;
  ResponseHead head(user.arena());
  head.status = user.log.reset ? 400 : user.request && !user.request->upgrade.empty() ? 101 : 200;
  if (head.status == 101) head.upgrade = user.request->upgrade;
  if (!user.request && !user.log.reset) return;
  if ((how & 1) != 0) user.stream->consume(user.log.received);
  if ((how & 2) != 0 && !user.log.ended && !user.log.reset) return;
  head.headers.add("X-Served", "1");
  user.stream->send_head(head, (how & 4) != 0);
  user.stream->send_body(chain(pool, std::string(3000, 'x')), (how & 8) != 0);
  if ((how & 16) != 0) {
    HeaderMap trailers(user.arena());
    trailers.add("X-t", "1");
    user.stream->send_trailers(trailers);
  }
  if ((how & 32) != 0) return user.abort(Code::internal);
  if ((how & 64) != 0 || user.log.ended || user.log.reset) user.detach();
}

void run(std::string_view bytes, Cuts cuts, uint8_t how) {
  ChunkPool pool;
  ServerUsers users;
  {
    CodecLimits limits{.head_bytes_max = 2000, .headers_max = 20, .concurrent_streams_max = 10};
    limits.carries_http1 = (how & 128) != 0;
    auto codec = make_h2_server(pool, users, limits);
    const std::string all = preface() + std::string(bytes);
    for (size_t at = 0; at < all.size();) {
      const size_t n = cuts.next(all.size() - at);
      Chain in = chain(pool, std::string_view(all).substr(at, n));
      at += n;
      (void)codec->feed(in);
      PILLION_CHECK(in.empty());
      for (auto& user : users.users) act(*user, pool, how);
      take_output(*codec);
    }
    codec->on_eof();
    for (auto& user : users.users) {
      if (user->stream != nullptr) user->detach();
    }
    PILLION_CHECK(codec->active_streams() == 0);
    PILLION_CHECK(codec->is_finished());
  }
  users.users.clear();
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
