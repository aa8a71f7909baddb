// From the fields of an HTTP/1 head to a RequestHead or ResponseHead: what the grammar (llhttp) accepts but a proxy
// must refuse is refused here, and everything that frames the connection is taken out of the headers.
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/error.h"
#include "proxy/http/codec.h"
#include "proxy/http/message.h"

namespace pillion::http {

// As the parser saw it; views into the arena of `fields`.
struct H1RawHead {
  explicit H1RawHead(Arena& arena) : fields(arena) {}
  std::string_view method;
  std::string_view target;
  uint16_t status = 0;
  uint8_t minor = 1;  // HTTP/1.x
  HeaderMap fields;
};

struct H1Request {
  RequestHead head;
  bool chunked = false;
};

struct H1Response {
  ResponseHead head;
  bool chunked = false;
};

// Errors: bad_message, or unsupported for HTTP/1.0 where it is not accepted. Side::downstream.
Expected<H1Request> make_h1_request(H1RawHead&& raw, const CodecLimits& limits);

// Errors: bad_message. Side::upstream. Whether there is a body also depends on the request: the caller knows.
Expected<H1Response> make_h1_response(H1RawHead&& raw);

}  // namespace pillion::http
