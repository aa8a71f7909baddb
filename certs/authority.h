// Who signs the mesh's certificates. The built-in authority keeps its root in the control plane's state directory; an
// external one (SPIRE, Vault, cert-manager) is another implementation of the same interface.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "certs/lifetimes.h"
#include "certs/result.h"
#include "certs/spiffe.h"
#include "proxy/base/tls_material.h"

namespace pillion::certs {

constexpr size_t kMaxRetiredRoots = 16;

struct IssuedCertificate {
  std::string chain;       // PEM: leaf, then intermediates; the root is in bundle().
  int64_t not_before = 0;  // Unix seconds.
  int64_t not_after = 0;   // Unix seconds.
};

class Authority {
 public:
  virtual ~Authority() = default;
  // Signs the public key in `csr_pem` for `id`; nothing else in the request counts. The caller has already decided that
  // the sender may have `id`. `lifetime_seconds` is shortened to the authority's maximum and to the root's own end.
  virtual Result<IssuedCertificate> sign(std::string_view csr_pem, const SpiffeId& id, int64_t lifetime_seconds,
                                         int64_t now) = 0;
  // The roots to trust, PEM. Several while a root is being rotated.
  virtual const std::string& bundle() const = 0;
};

struct AuthorityOptions {
  std::string trust_domain;
  int64_t max_lifetime_seconds = kMaxLeafLifetimeSeconds;  // kMinLeafLifetimeSeconds .. kMaxLeafLifetimeSeconds.
};

// ECDSA P-256 for what it makes itself. State directory (mode 0700):
//
//   root.pem           key and certificate of the root that signs; made at first start, 0600
//   next-root.pem      the same for a root that is trusted already and does not sign yet; only during a rotation
//   retired-roots.pem  certificates of earlier roots, trusted until forget_root()
//
// Rotation without a gap: prepare_next_root(), wait until every workload has the new bundle, activate_next_root(), wait
// until every workload has renewed, forget_root(old). Each step is one rename, so a crash leaves the step before or the
// step after. One process owns the directory; several that start at once agree on one root.
class BuiltinAuthority final : public Authority {
 public:
  // Opens the state directory, makes it and the root if there is none. A damaged file is an error and is never
  // replaced: a new root would cut off every workload.
  static Result<std::unique_ptr<BuiltinAuthority>> open(const std::string& state_dir, AuthorityOptions options,
                                                        int64_t now);
  // With an authority that was given: `cert_path` holds its certificate, then its intermediates up to the root;
  // `roots_path` (may be empty) further roots to trust. The key may be P-256, P-384 or RSA. Rotation is then whoever
  // gave it's affair.
  static Result<std::unique_ptr<BuiltinAuthority>> load(const std::string& cert_path, const std::string& key_path,
                                                        const std::string& roots_path, AuthorityOptions options,
                                                        int64_t now);
  ~BuiltinAuthority() override;

  Result<IssuedCertificate> sign(std::string_view csr_pem, const SpiffeId& id, int64_t lifetime_seconds,
                                 int64_t now) override;
  // The same with DNS names and IP addresses beside the identity: for the control plane's own server only.
  Result<IssuedCertificate> sign_server(std::string_view csr_pem, const SpiffeId& id,
                                        std::span<const std::string> hosts, int64_t lifetime_seconds, int64_t now);
  const std::string& bundle() const override;

  // The root that the certificates signed now lead to: for join tokens, and for the end of the chain that the control
  // plane's own server sends, since a new workload knows only the fingerprint.
  const std::string& root_pem() const;
  const std::string& root_fingerprint() const;
  std::string_view trust_domain() const;
  int64_t root_not_after() const;

  Result<void> prepare_next_root(int64_t now);
  Result<void> activate_next_root(int64_t now);
  Result<void> forget_root(std::string_view fingerprint);

 private:
  struct State;
  explicit BuiltinAuthority(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A key, a request and a certificate in one go, for the process that holds the authority (the control plane's server).
Result<TlsMaterial> issue_own_identity(BuiltinAuthority& authority, const SpiffeId& id, int64_t lifetime_seconds,
                                       int64_t now, std::span<const std::string> hosts = {});

}  // namespace pillion::certs
