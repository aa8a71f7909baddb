#include "xds/client/tls_walk.h"

#include <fmt/format.h>

namespace pillion::xds::client {
namespace {

constexpr std::string_view kContext = "transport_socket.typed_config.common_tls_context";

}  // namespace

std::string TlsPlace::to_string() const {
  switch (part) {
    case Part::chain: return fmt::format("filter_chains[{}].{}", index, kContext);
    case Part::default_chain: return fmt::format("default_filter_chain.{}", kContext);
    case Part::socket: return std::string(kContext);
    case Part::socket_match: return fmt::format("transport_socket_matches[{}].{}", index, kContext);
  }
  return {};
}

}  // namespace pillion::xds::client
