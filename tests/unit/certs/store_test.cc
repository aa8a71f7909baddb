#include "certs/store.h"

#include <optional>

#include "certs/authority.h"
#include "certs/csr.h"
#include "certs/material.h"
#include "tests/unit/certs/test_pki.h"

using namespace pillion;
using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

struct Fixture {
  TempDir dir;
  std::unique_ptr<BuiltinAuthority> authority =
      std::move(*BuiltinAuthority::open(dir.path(), {.trust_domain = kDomain}, kNow));
  Random random{42};
  Store store{random};

  TlsMaterial issue(int64_t lifetime = 1000) { return *issue_own_identity(*authority, web(), lifetime, kNow); }
  Result<void> install(const TlsMaterial& m, int64_t now = kNow) {
    return store.install(m.cert_chain, m.private_key, m.trust_bundle, now);
  }
};

struct Recorder : StoreEvents {
  void on_material(const SharedMaterial& material) override {
    versions.push_back(material->version);
    if (leave != nullptr) leave->reset();
    leave = nullptr;
  }
  std::vector<uint64_t> versions;
  std::optional<Store::Subscription>* leave = nullptr;
};

}  // namespace

TEST_CASE("store: a new certificate is published whole, and the old one lives on with who holds it") {
  Fixture f;
  CHECK(f.store.current() == nullptr);
  CHECK(f.store.renewal_due(kNow));
  REQUIRE(f.install(f.issue()).has_value());
  const SharedMaterial first = f.store.current();
  CHECK(first->version == 1);
  CHECK(first->spiffe_id == web().to_string());
  CHECK(first->not_before == kNow - kNotBeforeSkewSeconds);
  CHECK(first->not_after == kNow + 1000);
  REQUIRE(f.install(f.issue()).has_value());
  CHECK(f.store.current()->version == 2);
  CHECK(first->version == 1);
  CHECK(contains(first->private_key, "PRIVATE KEY"));
}

TEST_CASE("store: what would not work is refused, and what works stays") {
  Fixture f;
  const TlsMaterial good = f.issue();
  const TlsMaterial other = f.issue();
  REQUIRE(f.install(good).has_value());
  const SharedMaterial before = f.store.current();
  const TempDir elsewhere;
  const auto foreign = BuiltinAuthority::open(elsewhere.path(), {.trust_domain = kDomain}, kNow);
  CHECK(contains(f.store.install(good.cert_chain, other.private_key, good.trust_bundle, kNow).error().reason,
                 "does not belong"));
  CHECK(contains(f.store.install(good.cert_chain, good.private_key, (*foreign)->bundle(), kNow).error().reason,
                 "not issued by a root"));
  CHECK(contains(f.install(good, kNow + 1000 + 1).error().reason, "expired"));
  CHECK(contains(f.install(good, kNow - 100).error().reason, "not valid before"));
  CHECK_FALSE(f.store.install("", good.private_key, good.trust_bundle, kNow).has_value());
  CHECK_FALSE(f.store.install(good.cert_chain, "", good.trust_bundle, kNow).has_value());
  CHECK_FALSE(f.store.install(good.cert_chain, good.private_key, "", kNow).has_value());
  CHECK(f.store.current() == before);
}

TEST_CASE("store: the roots change alone, and only to some that this certificate leads to") {
  Fixture f;
  CHECK_FALSE(f.store.replace_bundle(f.authority->bundle(), kNow).has_value());
  REQUIRE(f.install(f.issue()).has_value());
  const RenewalState plan = f.store.renewal(kNow);
  REQUIRE(f.store.replace_bundle(f.authority->bundle(), kNow).has_value());
  CHECK(f.store.current()->version == 1);  // The same roots: nothing to tell.
  REQUIRE(f.authority->prepare_next_root(kNow).has_value());
  REQUIRE(f.store.replace_bundle(f.authority->bundle(), kNow).has_value());
  CHECK(f.store.current()->version == 2);
  CHECK(f.store.current()->trust_bundle == f.authority->bundle());
  CHECK(f.store.renewal(kNow).next_attempt_at == plan.next_attempt_at);
  CHECK_FALSE(f.store.replace_bundle("none", kNow).has_value());
  CHECK(f.store.current()->version == 2);
}

TEST_CASE("store: renewal counts from the issue, not from the backdated start") {
  Fixture f;
  REQUIRE(f.install(f.issue(10)).has_value());
  const RenewalState state = f.store.renewal(kNow);
  CHECK(state.next_attempt_at >= kNow + 5);
  CHECK(state.next_attempt_at <= kNow + 8);
  CHECK(state.seconds_to_expiry == 10);
  // The same certificate found on disk by a process that starts later.
  Random random(1);
  Store restarted(random);
  const TlsMaterial life = f.issue(1000);
  REQUIRE(restarted.install(life.cert_chain, life.private_key, life.trust_bundle, kNow + 400).has_value());
  CHECK(restarted.renewal(kNow).next_attempt_at >= kNow + 500);
  CHECK(restarted.renewal(kNow).next_attempt_at <= kNow + 800);
  f.store.renewal_failed("refused", kNow + 8);
  CHECK(f.store.renewal(kNow + 8).failures == 1);
  CHECK(f.store.renewal(kNow + 11).expired);
}

TEST_CASE("store: subscribers hear of each change, and may leave in the middle of one") {
  Fixture f;
  Recorder first;
  Recorder second;
  Recorder third;
  std::optional<Store::Subscription> one(std::in_place, f.store, first);
  std::optional<Store::Subscription> two(std::in_place, f.store, second);
  const Store::Subscription three(f.store, third);
  first.leave = &one;
  REQUIRE(f.install(f.issue()).has_value());
  first.leave = nullptr;
  second.leave = nullptr;
  third.leave = &two;  // Leaves on behalf of one that was told already.
  REQUIRE(f.install(f.issue()).has_value());
  REQUIRE(f.install(f.issue()).has_value());
  CHECK(first.versions == std::vector<uint64_t>{1});
  CHECK(second.versions == std::vector<uint64_t>{1, 2});
  CHECK(third.versions == std::vector<uint64_t>{1, 2, 3});
}

TEST_CASE("tls material: it prints without its key, and wipes it") {
  Fixture f;
  const TlsMaterial m = f.issue();
  const std::string text = fmt::format("{}", m);
  CHECK(contains(text, web().to_string()));
  CHECK(contains(text, "private_key=redacted"));
  CHECK_FALSE(contains(text, "BEGIN"));
  CHECK_FALSE(contains(text, m.private_key.substr(40, 20)));
  std::string secret = "a secret that is longer than a short string";
  const char* bytes = secret.data();
  const size_t size = secret.size();
  wipe(secret);
  CHECK(secret.empty());
  CHECK(secret.data() == bytes);
  CHECK(std::all_of(bytes, bytes + size, [](char c) { return c == '\0'; }));
}
