#include "certs/authority.h"

#include <algorithm>

#include "certs/csr.h"
#include "certs/files.h"
#include "certs/material.h"
#include "certs/signer.h"
#include "certs/verify.h"

namespace pillion::certs {
namespace {

constexpr char kRootFile[] = "/root.pem";
constexpr char kNextRootFile[] = "/next-root.pem";
constexpr char kRetiredRootsFile[] = "/retired-roots.pem";

// Wipes a text that held a key when its scope ends.
class WipedText {
 public:
  explicit WipedText(std::string text) : text_(std::move(text)) {}
  WipedText(const WipedText&) = delete;
  WipedText& operator=(const WipedText&) = delete;
  ~WipedText() { wipe(text_); }
  const std::string& get() const { return text_; }

 private:
  std::string text_;
};

Result<void> check_options(const AuthorityOptions& options) {
  if (auto ok = check_trust_domain(options.trust_domain); !ok) return ok;
  if (options.max_lifetime_seconds < kMinLeafLifetimeSeconds ||
      options.max_lifetime_seconds > kMaxLeafLifetimeSeconds) {
    return failure("the maximum certificate lifetime must be 2 seconds to 24 hours");
  }
  return {};
}

// A signer kept in one file, or nothing if there is no such file.
Result<std::optional<Signer>> read_signer(const std::string& path) {
  auto text = read_secret_file(path);
  if (!text) return failure_of(text);
  if (!text->has_value()) return std::nullopt;
  const WipedText pem(std::move(**text));
  auto signer = signer_from_pem(pem.get(), pem.get());
  if (!signer) return failure(signer.error().reason, path);
  return std::optional<Signer>(std::move(*signer));
}

// The signer in `path`, made now if there is none. Whoever comes second uses the first one's.
Result<Signer> read_or_make_signer(const std::string& path, std::string_view trust_domain, int64_t now) {
  auto found = read_signer(path);
  if (!found) return failure_of(found);
  if (found->has_value()) return std::move(**found);
  auto fresh = make_root(trust_domain, now);
  if (!fresh) return fresh;
  auto pem = signer_to_pem(*fresh);
  if (!pem) return failure_of(pem);
  const WipedText text(std::move(*pem));
  auto created = create_file(path, text.get());
  if (!created) return failure_of(created);
  if (*created) return fresh;
  found = read_signer(path);
  if (!found) return failure_of(found);
  if (!found->has_value()) return failure("the file was removed while it was being made", path);
  return std::move(**found);
}

// The prepared root. If a crash came between activating it and removing its file, the file is removed now.
Result<std::optional<Signer>> read_next_signer(const std::string& path, const X509& signing) {
  auto next = read_signer(path);
  if (!next || !next->has_value() || !same_certificate(*(*next)->cert, signing)) return next;
  if (auto ok = remove_file(path); !ok) return failure_of(ok);
  return std::nullopt;
}

// A root of another trust domain here means that the wrong directory or the wrong domain was given.
Result<void> check_root_domain(const X509& root, std::string_view trust_domain, const std::string& path) {
  auto id = spiffe_id_of(root);
  if (!id) return failure(id.error().reason, path);
  if (id->trust_domain() == trust_domain && id->path().empty()) return {};
  return failure("this root is for " + id->to_string() + ", not for trust domain " + std::string(trust_domain), path);
}

void add_once(Chain& roots, CertPtr cert) {
  const bool known = std::ranges::any_of(roots, [&](const CertPtr& root) { return same_certificate(*root, *cert); });
  if (!known) roots.push_back(std::move(cert));
}

CertPtr share(const CertPtr& cert) {
  X509_up_ref(cert.get());
  return CertPtr(cert.get());
}

Result<Chain> read_retired_roots(const std::string& path) {
  auto text = read_file(path);
  if (!text) return failure_of(text);
  if (!text->has_value() || (*text)->empty()) return Chain{};
  auto roots = parse_certificates(**text, kMaxRetiredRoots);
  if (!roots) return failure(roots.error().reason, path);
  return roots;
}

Result<std::string> read_needed(const std::string& path) {
  auto text = read_file(path);
  if (!text) return failure_of(text);
  if (!text->has_value()) return failure("there is no such file", path);
  return std::move(**text);
}

// Gives a signer what stands behind its certificate in a given file, and returns the root at its end.
Result<CertPtr> take_chain(Signer& signer, std::string_view cert_pem, const std::string& path) {
  auto chain = parse_certificates(cert_pem);
  if (!chain) return failure(chain.error().reason, path);
  for (CertPtr& cert : *chain) {
    // The first is the signer. The root ends the chain and is not sent to peers; what is below it is.
    if (is_self_signed(*cert)) return std::move(cert);
    signer.intermediates.push_back(std::move(cert));
  }
  return failure("the file must end with the root of its chain", path);
}

Result<Chain> read_more_roots(const std::string& path) {
  if (path.empty()) return Chain{};
  auto pem = read_needed(path);
  if (!pem) return failure_of(pem);
  auto roots = parse_certificates(*pem, kMaxBundleCertificates);
  if (!roots) return failure(roots.error().reason, path);
  return roots;
}

}  // namespace

struct BuiltinAuthority::State {
  AuthorityOptions options;
  std::string dir;  // Empty for a given authority.
  Signer signer;
  CertPtr root;  // What the signer leads to; the signer itself unless intermediates were given.
  std::optional<Signer> next;
  Chain retired;     // Trusted, signing no more.
  Chain more_roots;  // Of a given authority.

  std::string bundle;
  std::string root_pem;
  std::string root_fingerprint;
  std::optional<Verifier> verifier;

  // Everything that follows from the members above; called whenever one of them has changed.
  Result<void> refresh() {
    Chain roots;
    add_once(roots, share(root));
    if (next.has_value()) add_once(roots, share(next->cert));
    for (const CertPtr& cert : retired) add_once(roots, share(cert));
    for (const CertPtr& cert : more_roots) add_once(roots, share(cert));
    if (roots.size() > kMaxBundleCertificates) return failure("there are more than 64 roots");
    std::string pem = to_pem(roots);
    auto made = Verifier::make(options.trust_domain, pem);
    if (!made) return failure_of(made);
    bundle = std::move(pem);
    verifier = std::move(*made);
    root_pem = to_pem(*root);
    root_fingerprint = fingerprint(*root);
    return {};
  }
};

BuiltinAuthority::BuiltinAuthority(std::unique_ptr<State> state) : state_(std::move(state)) {}
BuiltinAuthority::~BuiltinAuthority() = default;

// === opening ===

Result<std::unique_ptr<BuiltinAuthority>> BuiltinAuthority::open(const std::string& state_dir, AuthorityOptions options,
                                                                 int64_t now) {
  if (auto ok = check_options(options); !ok) return failure_of(ok);
  if (auto ok = make_private_dir(state_dir); !ok) return failure_of(ok);
  auto signer = read_or_make_signer(state_dir + kRootFile, options.trust_domain, now);
  if (!signer) return failure_of(signer);
  if (auto ok = check_root_domain(*signer->cert, options.trust_domain, state_dir + kRootFile); !ok) {
    return failure_of(ok);
  }
  auto next = read_next_signer(state_dir + kNextRootFile, *signer->cert);
  if (!next) return failure_of(next);
  auto retired = read_retired_roots(state_dir + kRetiredRootsFile);
  if (!retired) return failure_of(retired);
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  state->dir = state_dir;
  state->signer = std::move(*signer);
  state->root = share(state->signer.cert);
  state->next = std::move(*next);
  state->retired = std::move(*retired);
  if (auto ok = state->refresh(); !ok) return failure_of(ok);
  return std::unique_ptr<BuiltinAuthority>(new BuiltinAuthority(std::move(state)));
}

Result<std::unique_ptr<BuiltinAuthority>> BuiltinAuthority::load(const std::string& cert_path,
                                                                 const std::string& key_path,
                                                                 const std::string& roots_path,
                                                                 AuthorityOptions options, int64_t now) {
  if (auto ok = check_options(options); !ok) return failure_of(ok);
  auto cert_pem = read_needed(cert_path);
  if (!cert_pem) return failure_of(cert_pem);
  auto key_text = read_needed(key_path);
  if (!key_text) return failure_of(key_text);
  const WipedText key_pem(std::move(*key_text));
  auto signer = signer_from_pem(*cert_pem, key_pem.get());
  if (!signer) return failure(signer.error().reason, cert_path);
  auto root = take_chain(*signer, *cert_pem, cert_path);
  if (!root) return failure_of(root);
  auto more_roots = read_more_roots(roots_path);
  if (!more_roots) return failure_of(more_roots);
  auto state = std::make_unique<State>();
  state->options = std::move(options);
  state->root = std::move(*root);
  state->more_roots = std::move(*more_roots);
  state->signer = std::move(*signer);
  if (auto ok = state->refresh(); !ok) return failure_of(ok);
  auto authority = std::unique_ptr<BuiltinAuthority>(new BuiltinAuthority(std::move(state)));
  // Signing something shows at start what would otherwise fail at the first workload: a gap in the chain, its purpose,
  // its path length, an expired certificate.
  auto probe = SpiffeId::make(authority->trust_domain(), "/pillion/probe");
  if (!probe) return failure_of(probe);
  if (auto ok = issue_own_identity(*authority, *probe, kMinLeafLifetimeSeconds, now); !ok) {
    return failure("nothing can be signed with this authority: " + ok.error().reason, cert_path);
  }
  return authority;
}

// === signing ===

Result<IssuedCertificate> BuiltinAuthority::sign(std::string_view csr_pem, const SpiffeId& id, int64_t lifetime_seconds,
                                                 int64_t now) {
  return sign_server(csr_pem, id, {}, lifetime_seconds, now);
}

Result<IssuedCertificate> BuiltinAuthority::sign_server(std::string_view csr_pem, const SpiffeId& id,
                                                        std::span<const std::string> hosts, int64_t lifetime_seconds,
                                                        int64_t now) {
  if (id.trust_domain() != trust_domain() || id.path().empty()) {
    return failure(id.to_string() + " is not the name of a workload in trust domain " + std::string(trust_domain()));
  }
  if (lifetime_seconds < kMinLeafLifetimeSeconds) return failure("the lifetime asked for is shorter than 2 seconds");
  auto public_key = public_key_of_csr(csr_pem);
  if (!public_key) return failure_of(public_key);
  const int64_t lifetime = std::min(lifetime_seconds, state_->options.max_lifetime_seconds);
  auto leaf = sign_leaf(state_->signer, **public_key, id, hosts, lifetime, now);
  if (!leaf) return failure_of(leaf);
  Chain chain;
  chain.push_back(std::move(*leaf));
  for (const CertPtr& cert : state_->signer.intermediates) chain.push_back(share(cert));
  // Nothing leaves that a peer would refuse.
  for (const PeerRole role : {PeerRole::server, PeerRole::client}) {
    if (auto ok = state_->verifier->verify(chain, role, now); !ok) return failure_of(ok);
  }
  return IssuedCertificate{.chain = to_pem(chain),
                           .not_before = certs::not_before(*chain.front()),
                           .not_after = certs::not_after(*chain.front())};
}

const std::string& BuiltinAuthority::bundle() const {
  return state_->bundle;
}
const std::string& BuiltinAuthority::root_pem() const {
  return state_->root_pem;
}
const std::string& BuiltinAuthority::root_fingerprint() const {
  return state_->root_fingerprint;
}
std::string_view BuiltinAuthority::trust_domain() const {
  return state_->options.trust_domain;
}
int64_t BuiltinAuthority::root_not_after() const {
  return not_after(*state_->root);
}

// === rotation ===

Result<void> BuiltinAuthority::prepare_next_root(int64_t now) {
  if (state_->dir.empty()) return failure("this authority was given; its root is rotated where it comes from");
  if (state_->next.has_value()) return {};  // Prepared already, perhaps before a restart.
  auto next = read_or_make_signer(state_->dir + kNextRootFile, trust_domain(), now);
  if (!next) return failure_of(next);
  state_->next = std::move(*next);
  return state_->refresh();
}

Result<void> BuiltinAuthority::activate_next_root(int64_t now) {
  if (!state_->next.has_value()) return failure("there is no next root; prepare one first");
  if (not_before(*state_->next->cert) > now) return failure("the next root is not valid yet");
  Chain retired;
  add_once(retired, share(state_->root));
  for (const CertPtr& cert : state_->retired) add_once(retired, share(cert));
  if (retired.size() > kMaxRetiredRoots) return failure("there are 16 retired roots; forget some first");
  auto pem = signer_to_pem(*state_->next);
  if (!pem) return failure_of(pem);
  const WipedText text(std::move(*pem));
  // In this order: the old root is trusted at every instant, whatever is the last step that was done.
  if (auto ok = replace_file(state_->dir + kRetiredRootsFile, to_pem(retired), kPublicMode); !ok) return ok;
  if (auto ok = replace_file(state_->dir + kRootFile, text.get()); !ok) return ok;
  state_->retired = std::move(retired);
  state_->signer = std::move(*state_->next);
  state_->root = share(state_->signer.cert);
  state_->next.reset();
  auto refreshed = state_->refresh();
  auto removed = remove_file(state_->dir + kNextRootFile);
  return refreshed ? removed : refreshed;
}

Result<void> BuiltinAuthority::forget_root(std::string_view fingerprint_text) {
  if (fingerprint_text == state_->root_fingerprint) return failure("this root signs; activate another one first");
  Chain kept;
  for (const CertPtr& cert : state_->retired) {
    if (fingerprint(*cert) != fingerprint_text) kept.push_back(share(cert));
  }
  if (kept.size() == state_->retired.size()) return failure("there is no retired root with this fingerprint");
  if (auto ok = replace_file(state_->dir + kRetiredRootsFile, to_pem(kept), kPublicMode); !ok) return ok;
  state_->retired = std::move(kept);
  return state_->refresh();
}

Result<TlsMaterial> issue_own_identity(BuiltinAuthority& authority, const SpiffeId& id, int64_t lifetime_seconds,
                                       int64_t now, std::span<const std::string> hosts) {
  auto request = make_key_and_csr(id);
  if (!request) return failure_of(request);
  auto issued = authority.sign_server(request->csr, id, hosts, lifetime_seconds, now);
  if (!issued) return failure_of(issued);
  return make_material(std::move(issued->chain), std::move(request->private_key), authority.bundle(), now);
}

}  // namespace pillion::certs
