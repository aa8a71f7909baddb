#include "certs/authority.h"
#include "certs/command.h"
#include "certs/files.h"
#include "certs/join_token.h"
#include "certs/root_file.h"
#include "proxy/base/time.h"

namespace pillion::certs {
namespace {

// The root that the control plane shows. Before its first start there is none: the built-in one is made now.
Result<std::string> root_fingerprint(const std::string& state_dir, const SpiffeId& id, int64_t now) {
  auto shown = read_shown_root(state_dir);
  if (!shown) return failure_of(shown);
  if (*shown) return std::move(**shown);
  auto authority = BuiltinAuthority::open(state_dir, {.trust_domain = std::string(id.trust_domain())}, now);
  if (!authority) return failure_of(authority);
  return (*authority)->root_fingerprint();
}

Result<std::string> make_token(const TokenOptions& options, int64_t now) {
  auto id = SpiffeId::parse(options.spiffe_id);
  if (!id) return failure("--spiffe-id: " + id.error().reason);
  auto root = root_fingerprint(options.state_dir, *id, now);
  if (!root) return root;
  auto issuer = TokenIssuer::open(options.state_dir, now);
  if (!issuer) return failure_of(issuer);
  return issuer->issue({.spiffe_id = std::move(*id),
                        .lifetime_seconds = options.lifetime_seconds,
                        .root_fingerprint = std::move(*root),
                        .address = options.address,
                        .single_use = options.single_use},
                       now);
}

}  // namespace

int run_token(const TokenOptions& options, std::ostream& out, std::ostream& err) {
  auto token = make_token(options, wall_now_us() / 1'000'000);
  if (!token) {
    err << "pillion token: " << token.error().to_string() << "\n";
    return 1;
  }
  out << *token << "\n";
  return 0;
}

}  // namespace pillion::certs
