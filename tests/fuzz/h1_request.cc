// Bytes of an HTTP/1 client, whole and cut at random: the events and the answers must be the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "tests/unit/http/codec_harness.h"

using namespace pillion;
using namespace pillion::http;
using namespace pillion::http::test;

namespace {

struct Run {
  ChunkPool pool;
  ServerUsers users;
  Chain in;
  std::string output;
  std::string errors;
};

// Answers each request that is complete or refused; agrees to every second upgrade.
bool answer(Run& run) {
  if (run.users.users.empty()) return false;
  ServerUser& user = *run.users.users.back();
  if (user.stream == nullptr) return false;
  const bool asks = user.request && (!user.request->upgrade.empty() || user.request->method == "CONNECT");
  if (!asks && !user.log.ended && !user.log.reset) return false;
  ResponseHead head(user.arena());
  head.status = user.log.reset ? 400 : 200;
  if (asks && user.request->path.size() % 2 == 0 && !user.log.reset && !user.request->upgrade.empty()) {
    if (user.log.ended) return false;
    head.status = 101;
    std::string_view first = user.request->upgrade;
    head.upgrade = first.substr(0, first.find(','));
    user.stream->send_head(head, false);
    return false;
  }
  user.stream->send_head(head, false);
  user.stream->send_body(chain(run.pool, "ok"), true);
  user.detach();
  return true;
}

std::string run(std::string_view bytes, Cuts cuts) {
  CodecLimits limits{.head_bytes_max = 2000, .headers_max = 20};
  Run r;
  std::string log;
  {
    auto codec = make_h1_server(r.pool, r.users, limits);
    while (!bytes.empty()) {
      const size_t n = cuts.next(bytes.size());
      r.in.append(r.pool, bytes.substr(0, n));
      bytes.remove_prefix(n);
      for (;;) {
        const size_t before = r.in.size();
        if (const Expected<void> fed = codec->feed(r.in); !fed) r.errors += text(fed.error());
        const bool answered = answer(r);
        r.output += take_output(*codec);
        if (!answered && (r.in.size() == before || r.in.empty())) break;
      }
    }
    codec->on_eof();
    log = r.users.log() + r.errors + r.output;
    for (auto& user : r.users.users) {
      if (user->stream != nullptr) user->detach();
    }
    take_output(*codec);
    r.in.clear();
  }
  r.users.users.clear();
  PILLION_CHECK(r.pool.live() == 0);
  return log;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = run(bytes, {});
  PILLION_CHECK(run(bytes, {.size = 1}) == whole);
  PILLION_CHECK(run(bytes, {.random = Random(size)}) == whole);
  return 0;
}
