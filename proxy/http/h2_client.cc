#include "proxy/http/h2_client.h"

namespace pillion::http {

void H2Client::on_eof() {
  session_.lose({.code = Code::peer_closed, .side = Side::upstream, .what = "waiting for responses"});
}

std::unique_ptr<ClientCodec> make_h2_client(ChunkPool& chunks, const CodecLimits& limits) {
  return std::make_unique<H2Client>(chunks, limits);
}

}  // namespace pillion::http
