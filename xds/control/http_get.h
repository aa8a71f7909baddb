// One blocking GET for a tool that does nothing else meanwhile.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include "proxy/base/address.h"

namespace pillion::xds::control {

inline constexpr int kHttpGetTimeoutSeconds = 5;               // for each step
inline constexpr size_t kHttpGetBytesMax = size_t{256} << 20;  // of the whole answer

// The body of a 200; an error says what went wrong, or what the status was.
std::expected<std::string, std::string> http_get(const Address& to, std::string_view path);

}  // namespace pillion::xds::control
