#include "certs/verify.h"

#include <algorithm>

#include "tests/unit/certs/test_pki.h"

using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

struct Pki {
  Signer root = std::move(*make_root(kDomain, kNow));
  KeyPtr key = std::move(*make_p256_key());
  Verifier verifier = std::move(*Verifier::make(kDomain, to_pem(*root.cert)));
};

}  // namespace

TEST_CASE("verify: chains are judged by signature, time, purpose, profile and name") {
  struct Case {
    const char* name;
    LeafPlan plan;
    PeerRole role;
    const char* reason;  // Empty: accepted.
  };
  constexpr PeerRole kServer = PeerRole::server;
  constexpr PeerRole kClient = PeerRole::client;
  const Case cases[] = {
      {"good server", {}, kServer, ""},
      {"good client", {}, kClient, ""},
      {"only server use, as server", {.extended_use = {NID_server_auth}}, kServer, ""},
      {"only server use, as client", {.extended_use = {NID_server_auth}}, kClient, "may not be used by a client"},
      {"only client use, as server", {.extended_use = {NID_client_auth}}, kServer, "may not be used by a server"},
      {"use for code signing", {.extended_use = {NID_code_sign}}, kServer, "may not be used by a server"},
      {"any use", {.extended_use = {NID_anyExtendedKeyUsage}}, kServer, "may not be used by a server"},
      {"no extended use", {.extended_use = {}}, kServer, "does not say that it may be used by a server"},
      {"expired", {.not_after = kNow - 1}, kServer, "expired at 2027-01-15T07:59:59Z"},
      {"not yet valid", {.not_before = kNow + 10}, kServer, "not valid before 2027-01-15T08:00:10Z"},
      {"an authority",
       {.is_authority = true, .key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN},
       kServer,
       "authority"},
      {"may sign", {.key_usage = KU_DIGITAL_SIGNATURE | KU_KEY_CERT_SIGN}, kServer, "certificate"},
      {"no key usage", {.has_key_usage = false}, kServer, "may not be used for signatures"},
      {"no signatures", {.key_usage = KU_KEY_AGREEMENT}, kClient, "may not be used"},
      {"SHA-1", {.digest = EVP_sha1()}, kServer, "refused"},
      {"two names", {.uris = {"spiffe://shop.mesh/a", "spiffe://shop.mesh/b"}}, kServer, "more than one URI"},
      {"another domain", {.uris = {"spiffe://evil.mesh/ns/shop/sa/web"}}, kServer, "not in trust domain shop.mesh"},
      {"a domain that starts the same", {.uris = {"spiffe://shop.mesh.evil/x"}}, kServer, "not in trust domain"},
      {"the domain itself", {.uris = {"spiffe://shop.mesh"}}, kServer, "not a workload"},
  };
  const Pki pki;
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const Chain chain = chain_of(make_leaf(pki.root, *pki.key, c.plan));
    const auto id = pki.verifier.verify(chain, c.role, kNow);
    CAPTURE(id.has_value() ? id->to_string() : id.error().reason);
    CHECK(id.has_value() == (*c.reason == 0));
    if (id.has_value()) CHECK(*id == web());
    if (!id.has_value()) CHECK(contains(id.error().reason, c.reason));
  }
}

TEST_CASE("verify: openssl verify gives the same answer for purpose and time") {
  const TempDir dir;
  const Pki pki;
  spill(dir / "root.pem", to_pem(*pki.root.cert));
  const LeafPlan plans[] = {{},
                            {.extended_use = {NID_client_auth}},
                            {.extended_use = {NID_server_auth}},
                            {.not_after = kNow - 1},
                            {.not_before = kNow + 10}};
  for (const LeafPlan& plan : plans) {
    const Chain chain = chain_of(make_leaf(pki.root, *pki.key, plan));
    spill(dir / "leaf.pem", to_pem(chain));
    for (const PeerRole role : {PeerRole::server, PeerRole::client}) {
      const std::string purpose = role == PeerRole::server ? "sslserver" : "sslclient";
      const auto theirs = openssl("verify -x509_strict -attime " + std::to_string(kNow) + " -purpose " + purpose +
                                  " -CAfile " + dir / "root.pem" + " " + dir / "leaf.pem");
      CAPTURE(theirs.output);
      CHECK((theirs.status == 0) == pki.verifier.verify(chain, role, kNow).has_value());
    }
  }
}

TEST_CASE("verify: only a root of the bundle counts, not one that the peer brings or names alike") {
  const Pki pki;
  const Pki other;
  Chain foreign = chain_of(make_leaf(other.root, *other.key, {}));
  CHECK(contains(pki.verifier.verify(foreign, PeerRole::server, kNow).error().reason, "not issued by a root"));
  X509_up_ref(other.root.cert.get());
  foreign.push_back(CertPtr(other.root.cert.get()));
  CHECK(contains(pki.verifier.verify(foreign, PeerRole::server, kNow).error().reason, "not issued by a root"));

  // The same names and identifiers as our root, but another key.
  Signer forged{
      .cert = CertPtr(X509_dup(pki.root.cert.get())), .key = std::move(*make_p256_key()), .intermediates = {}};
  const Chain fake = chain_of(make_leaf(forged, *pki.key, {}));
  CHECK_FALSE(pki.verifier.verify(fake, PeerRole::server, kNow).has_value());

  CHECK_FALSE(pki.verifier.verify(Chain{}, PeerRole::server, kNow).has_value());
}

TEST_CASE("verify: a workload's certificate cannot sign for another") {
  const Pki pki;
  CertPtr web_cert = make_leaf(pki.root, *pki.key, {});
  X509_up_ref(web_cert.get());
  EVP_PKEY_up_ref(pki.key.get());
  const Signer workload{.cert = CertPtr(web_cert.get()), .key = KeyPtr(pki.key.get()), .intermediates = {}};
  const auto key = make_p256_key();
  Chain chain = chain_of(make_leaf(workload, **key, {.uris = {"spiffe://shop.mesh/ns/shop/sa/admin"}}));
  chain.push_back(std::move(web_cert));
  CHECK_FALSE(pki.verifier.verify(chain, PeerRole::client, kNow).has_value());
}

TEST_CASE("verify: several roots in a bundle are all good") {
  const Pki old_one;
  const Pki new_one;
  const auto both = Verifier::make(kDomain, to_pem(*old_one.root.cert) + to_pem(*new_one.root.cert));
  REQUIRE(both.has_value());
  CHECK(both->verify(chain_of(make_leaf(old_one.root, *old_one.key, {})), PeerRole::server, kNow).has_value());
  CHECK(both->verify(chain_of(make_leaf(new_one.root, *new_one.key, {})), PeerRole::server, kNow).has_value());
}

TEST_CASE("verify: a bundle or a chain that cannot be read fails closed") {
  const Pki pki;
  const std::string root = to_pem(*pki.root.cert);
  std::string damaged = root;
  damaged[60] = '*';
  std::string many;
  for (size_t i = 0; i <= kMaxBundleCertificates; ++i) many += root;
  for (const std::string& bundle : {std::string(), std::string("x"), damaged, root + damaged, many}) {
    CHECK_FALSE(Verifier::make(kDomain, bundle).has_value());
  }
  CHECK_FALSE(Verifier::make("Not A Domain", root).has_value());
  const std::string leaf = to_pem(*make_leaf(pki.root, *pki.key, {}));
  CHECK(pki.verifier.verify_pem(leaf, PeerRole::server, kNow).has_value());
  std::string long_chain = leaf;
  for (size_t i = 0; i < kMaxChainCertificates; ++i) long_chain += root;
  CHECK_FALSE(pki.verifier.verify_pem(long_chain, PeerRole::server, kNow).has_value());
  CHECK_FALSE(pki.verifier.verify_pem("", PeerRole::server, kNow).has_value());
}

TEST_CASE("verify: a DER chain is read whole and with nothing behind it") {
  const Pki pki;
  unsigned char* bytes = nullptr;
  const CertPtr leaf = make_leaf(pki.root, *pki.key, {});
  const int size = i2d_X509(leaf.get(), &bytes);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  const auto chain = parse_der_chain(std::vector<std::string>{der});
  REQUIRE(chain.has_value());
  CHECK(pki.verifier.verify(*chain, PeerRole::server, kNow).has_value());
  CHECK_FALSE(parse_der_chain(std::vector<std::string>{der + "x"}).has_value());
  CHECK_FALSE(parse_der_chain(std::vector<std::string>{der.substr(0, der.size() - 1)}).has_value());
  CHECK_FALSE(parse_der_chain(std::vector<std::string>{}).has_value());
  CHECK_FALSE(parse_der_chain(std::vector<std::string>(kMaxChainCertificates + 1, der)).has_value());
}

TEST_CASE("verify: matchers are exact, by trust domain, or by whole path segments") {
  struct Case {
    SpiffeMatcher matcher;
    const char* id;
    bool ok;
  };
  const SpiffeMatcher exact = *SpiffeMatcher::exact("spiffe://shop.mesh/ns/shop/sa/web");
  const SpiffeMatcher domain = *SpiffeMatcher::in_trust_domain("shop.mesh");
  const SpiffeMatcher prefix = *SpiffeMatcher::below("spiffe://shop.mesh/ns/shop");
  const SpiffeMatcher slash = *SpiffeMatcher::below("spiffe://shop.mesh/ns/shop/");
  const SpiffeMatcher whole = *SpiffeMatcher::below("spiffe://shop.mesh");
  const Case cases[] = {
      {exact, "spiffe://shop.mesh/ns/shop/sa/web", true},
      {exact, "spiffe://shop.mesh/ns/shop/sa/web2", false},
      {exact, "spiffe://shop.mesh/ns/shop/sa/we", false},
      {exact, "spiffe://shop.mesh/ns/shop/sa/Web", false},
      {domain, "spiffe://shop.mesh/x", true},
      {domain, "spiffe://shop.mesh.evil/x", false},
      {domain, "spiffe://xshop.mesh/x", false},
      {prefix, "spiffe://shop.mesh/ns/shop/sa/web", true},
      {prefix, "spiffe://shop.mesh/ns/shopping/sa/web", false},
      {prefix, "spiffe://shop.mesh/ns/shop", false},
      {slash, "spiffe://shop.mesh/ns/shop/sa/web", true},
      {slash, "spiffe://shop.mesh/ns/shopping/sa/web", false},
      {whole, "spiffe://shop.mesh/x", true},
      {whole, "spiffe://shop.mesh.evil/x", false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.id);
    const auto matched = c.matcher.match(*SpiffeId::parse(c.id));
    CHECK(matched.has_value() == c.ok);
    if (!matched) CHECK(contains(matched.error().reason, c.id));
  }
  CHECK_FALSE(SpiffeMatcher::exact("spiffe://shop.mesh/*").has_value());
  CHECK_FALSE(SpiffeMatcher::in_trust_domain("").has_value());
  CHECK_FALSE(SpiffeMatcher::below("spiffe://").has_value());
}

TEST_CASE("verify: an empty list of matchers lets nobody in") {
  CHECK_FALSE(match_any({}, web()).has_value());
  const SpiffeMatcher other[] = {*SpiffeMatcher::exact("spiffe://shop.mesh/a"),
                                 *SpiffeMatcher::exact("spiffe://shop.mesh/b")};
  CHECK(contains(match_any(other, web()).error().reason, "none of the 2 names"));
  const SpiffeMatcher ours[] = {other[0], *SpiffeMatcher::exact(web().to_string())};
  CHECK(match_any(ours, web()).has_value());
}

TEST_CASE("verify: first contact needs the root of the token in the server's chain") {
  const Pki pki;
  const Pki other;
  const std::string print = fingerprint(*pki.root.cert);
  const auto with_root = [](const Pki& from, const Pki& shown, LeafPlan plan = {}) {
    Chain chain = chain_of(make_leaf(from.root, *from.key, plan));
    X509_up_ref(shown.root.cert.get());
    chain.push_back(CertPtr(shown.root.cert.get()));
    return chain;
  };
  const auto met = verify_first_contact(with_root(pki, pki), print, kDomain, kNow);
  CAPTURE(met.has_value() ? "" : met.error().reason);
  REQUIRE(met.has_value());
  CHECK(met->server == web());
  CHECK(met->root_pem == to_pem(*pki.root.cert));

  const Chain without_root = chain_of(make_leaf(pki.root, *pki.key, {}));
  CHECK(contains(verify_first_contact(without_root, print, kDomain, kNow).error().reason, "did not show the root"));
  CHECK_FALSE(verify_first_contact(with_root(other, other), print, kDomain, kNow).has_value());
  // The right root shown, but the leaf is somebody else's: a root is public, everybody can show it.
  CHECK_FALSE(verify_first_contact(with_root(other, pki), print, kDomain, kNow).has_value());
  CHECK_FALSE(verify_first_contact(with_root(pki, pki, {.not_after = kNow - 1}), print, kDomain, kNow).has_value());
  CHECK_FALSE(
      verify_first_contact(with_root(pki, pki, {.extended_use = {NID_client_auth}}), print, kDomain, kNow).has_value());
  CHECK_FALSE(verify_first_contact(with_root(pki, pki), print, "other.mesh", kNow).has_value());
  CHECK_FALSE(verify_first_contact(Chain{}, print, kDomain, kNow).has_value());
  CHECK_FALSE(verify_first_contact(with_root(pki, pki), "", kDomain, kNow).has_value());
  CHECK_FALSE(verify_first_contact(with_root(pki, pki), print.substr(1), kDomain, kNow).has_value());
  // The fingerprint of the leaf is not that of a root.
  const Chain own = with_root(pki, pki);
  CHECK(contains(verify_first_contact(own, fingerprint(*own[0]), kDomain, kNow).error().reason, "not a root"));
}

TEST_CASE("verify: the fingerprint is the one that openssl prints") {
  const TempDir dir;
  const Pki pki;
  spill(dir / "root.pem", to_pem(*pki.root.cert));
  std::string theirs = openssl("x509 -in " + dir / "root.pem" + " -noout -fingerprint -sha256").output;
  theirs = theirs.substr(theirs.find('=') + 1);
  std::string plain;
  for (const char c : theirs) {
    if (std::isxdigit(static_cast<unsigned char>(c))) plain += static_cast<char>(std::tolower(c));
  }
  CHECK(plain == fingerprint(*pki.root.cert));
}
