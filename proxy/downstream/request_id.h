// x-request-id: a UUID of version 4 (RFC 9562 5.4). Not a secret, so the worker's own randomness will do.
#pragma once

#include <string_view>

#include "proxy/base/arena.h"
#include "proxy/base/random.h"

namespace pillion::downstream {

std::string_view make_request_id(Random& random, Arena& arena);  // 36 characters

}  // namespace pillion::downstream
