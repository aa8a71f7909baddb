// First bytes of a connection: what parse_client_hello() says may only get more certain with more bytes, and the same
// message in other records says the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/base/check.h"
#include "proxy/net/client_hello.h"

using namespace pillion;
using State = net::ClientHello::State;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const net::ClientHello whole = net::parse_client_hello(bytes);
  PILLION_CHECK(whole.state == State::complete || (whole.sni.empty() && whole.alpn.empty()));
  const size_t step = size / 256 + 1;
  for (size_t n = 0; n < size; n += step) {
    const net::ClientHello part = net::parse_client_hello(bytes.substr(0, n));
    if (part.state == State::need_more) continue;
    PILLION_CHECK(part.state == whole.state);
    PILLION_CHECK(part.sni == whole.sni && part.alpn == whole.alpn);
  }
  if (whole.state == State::complete) {
    PILLION_CHECK(net::parse_client_hello(std::string(bytes) + "more").sni == whole.sni);
  }
  return 0;
}
