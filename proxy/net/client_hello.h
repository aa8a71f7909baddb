// What a TLS ClientHello says before any of it is answered: for tls_inspector. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pillion::net {

struct ClientHello {
  enum class State : uint8_t { need_more, not_tls, complete };
  static constexpr size_t kBytesMax = 64 * 1024;  // a longer one is not_tls
  State state = State::need_more;
  std::string sni;                // lower case; empty where none was sent
  std::vector<std::string> alpn;  // as offered, in order
};

// `bytes` is everything received so far.
ClientHello parse_client_hello(std::string_view bytes);

}  // namespace pillion::net
