// The result type of certs/: what fails here fails because of a file, a certificate or a token that somebody made, so
// the error is the one that names a place and a reason. Reasons are sentences for people and never hold secrets.
#pragma once

#include <expected>
#include <string>
#include <utility>

#include "proxy/base/config_error.h"

namespace pillion::certs {

template <class T>
using Result = std::expected<T, ConfigError>;

inline std::unexpected<ConfigError> failure(std::string reason, std::string file = {}) {
  return std::unexpected(ConfigError{.file = std::move(file), .reason = std::move(reason)});
}

// Hands a callee's error on as it is.
template <class T>
std::unexpected<ConfigError> failure_of(Result<T>& result) {
  return std::unexpected(std::move(result.error()));
}

}  // namespace pillion::certs
