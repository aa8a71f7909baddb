#include "certs/root_file.h"

#include "certs/files.h"
#include "certs/openssl.h"

namespace pillion::certs {
namespace {

constexpr char kShownRootFile[] = "/shown-root.pem";

}  // namespace

Result<void> write_shown_root(const std::string& state_dir, const BuiltinAuthority& authority) {
  return replace_file(state_dir + kShownRootFile, authority.root_pem(), kPublicMode);
}

Result<std::optional<std::string>> read_shown_root(const std::string& state_dir) {
  auto text = read_file(state_dir + kShownRootFile);
  if (!text) return failure_of(text);
  if (!text->has_value()) return std::nullopt;
  auto certs = parse_certificates(**text, 1);
  if (!certs) return failure(certs.error().reason, state_dir + kShownRootFile);
  return fingerprint(*certs->front());
}

}  // namespace pillion::certs
