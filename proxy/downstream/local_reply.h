// Answers that the proxy makes itself, with the statuses, bodies and response code details of Envoy. A gRPC request
// gets its answer as a trailers-only response (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
#pragma once

#include <cstdint>
#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/base/error.h"
#include "proxy/filter/local_reply.h"
#include "proxy/http/message.h"

namespace pillion::downstream {

using filter::LocalReply;

// The answer to a request whose head or framing the codec refused.
LocalReply reply_to_refusal(const Error& why, http::Version version);
// The answer where the last attempt failed. `transport_failure` may be empty; `retried`: it was not the first attempt.
LocalReply reply_to_failure(const Error& why, bool retried, std::string_view transport_failure, Arena& arena);
// Details where the response broke off.
std::string_view details_of_broken_response(const Error& why, Arena& arena);

// "delayed connect error: Connection refused"; "" where the transport had no say.
std::string_view transport_failure_of(const Error& why, Arena& arena);

// Fills `head` and returns the body that follows it, "" for none.
std::string_view write_local_reply(const LocalReply& reply, bool is_grpc, http::ResponseHead& head);

// Envoy's mapping: 404 is UNIMPLEMENTED, 429 and 502 to 504 are UNAVAILABLE, …
int grpc_status_of(uint16_t http_status);

}  // namespace pillion::downstream
