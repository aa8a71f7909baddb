// The version of this build: of the binary, of the user agent towards a control plane, of /server_info.
#pragma once

namespace pillion {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace pillion
