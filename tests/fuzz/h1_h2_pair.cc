// A client codec wired to a server codec; the input is what their users do, and how the wire spoils it.
#include <cstdint>
#include <span>

#include "tests/unit/http/pair_script.h"

using namespace pillion::http;
using namespace pillion::http::test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0 || size > 4096) return 0;
  CodecLimits limits = small_limits();
  limits.carries_http1 = (data[0] & 4) != 0;
  PairScript pair((data[0] & 1) != 0 ? PairKind::h1 : PairKind::h2, limits, (data[0] & 2) != 0);
  pair.run(std::span(data + 1, size - 1));
  pair.finish();
  return 0;
}
