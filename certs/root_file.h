// STATE/shown-root.pem: the root that stands behind the control plane's own chain, for `pillion token`, which must
// know its fingerprint whether the authority is the built-in one or was given.
#pragma once

#include <optional>
#include <string>

#include "certs/authority.h"
#include "certs/result.h"

namespace pillion::certs {

Result<void> write_shown_root(const std::string& state_dir, const BuiltinAuthority& authority);
// Its fingerprint; nothing where there is no such file yet. Errors: it cannot be read, or is damaged.
Result<std::optional<std::string>> read_shown_root(const std::string& state_dir);

}  // namespace pillion::certs
