#include "proxy/http/h2_server.h"

namespace pillion::http {

// HTTP/2 has no half-closed connections: who sends a FIN will not read the rest either.
void H2Server::on_eof() {
  session_.lose({.code = Code::peer_closed, .side = Side::downstream, .what = "reading frames"});
}

std::unique_ptr<ServerCodec> make_h2_server(ChunkPool& chunks, ServerCodecEvents& events, const CodecLimits& limits) {
  return std::make_unique<H2Server>(chunks, events, limits);
}

}  // namespace pillion::http
