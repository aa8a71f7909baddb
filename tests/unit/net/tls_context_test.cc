#include "proxy/net/tls_context.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proxy/net/tls_peer.h"
#include "tests/unit/net/tls_world.h"

using namespace pillion;
using namespace pillion::net::test;

TEST_CASE("tls: who is refused, and the sentence that says why") {
  using Type = config::SanMatcher::Type;
  const Authority other("other root");
  struct Case {
    const char* name;
    Plan server, client;
    net::ClientHandshakeOptions options;
    bool server_refuses;
    const char* sentence;
  };
  std::vector<Case> cases;
  const auto add = [&](const char* name, Plan s, Plan c, bool server_refuses, const char* sentence,
                       std::string host = "") {
    cases.push_back({name, std::move(s), std::move(c), {.verify_host = std::move(host)}, server_refuses, sentence});
  };
  Plan none = mutual(cart());
  none.secrets.certificates.clear();
  add("no client certificate", mutual(web()), none, true, "the peer sent no certificate");
  add("client of another root", mutual(web()), mutual(other.issue({.common_name = "x", .sans = "URI:spiffe://x/y"})),
      true, "the peer's certificate was issued by CN=other root, which is not in the trust bundle");
  add("expired client", mutual(web()), mutual(mesh().issue({.from_seconds = -7200, .to_seconds = -3600})), true,
      "the peer's certificate has expired (notAfter 20");
  add("expired server", mutual(mesh().issue({.from_seconds = -7200, .to_seconds = -3600})), mutual(cart()), false,
      "the peer's certificate has expired (notAfter 20");
  add("too early", mutual(web()), mutual(mesh().issue({.from_seconds = 3600, .to_seconds = 7200})), true,
      "the peer's certificate is not valid yet (notBefore 20");
  add("a server certificate as client", mutual(web()), mutual(mesh().issue({.usages = "serverAuth"})), true,
      "the peer's certificate is not trusted: ");
  Plan wants_cart = mutual(web());
  wants_cart.config.validation.sans = {exact(Type::uri, kCart)};
  add("wrong URI", wants_cart, mutual(web()), true,
      "no SAN of the peer matches; it has URI:spiffe://mesh/ns/shop/sa/web, DNS:web.shop");
  Plan wants_dns = mutual(cart());
  wants_dns.config.validation.sans = {exact(Type::dns, kWeb)};  // the right text in another kind of name
  add("wrong kind", mutual(web()), wants_dns, false, "no SAN of the peer matches; it has URI:");
  Plan wants_hash = mutual(cart());
  wants_hash.config.validation.certificate_hashes = {std::string(64, '0')};
  add("wrong hash", mutual(web()), wants_hash, false, "the peer's certificate has the hash ");
  add("wrong host", mutual(web()), mutual(cart()), false, "no SAN of the peer is api.shop; it has URI:", "api.shop");
  Plan old = mutual(web());
  old.config.version_max = 0x0303;
  Plan fresh = mutual(cart());
  fresh.config.version_min = 0x0304;
  add("no common version", old, fresh, true, "TLS handshake failed: ");

  for (Case& c : cases) {
    CAPTURE(c.name);
    for (const int version : {0x0303, 0x0304}) {
      CAPTURE(version);
      if (c.client.config.version_min <= version) c.client.config.version_max = version;
      World w;
      w.connect(c.server, c.client, c.options);
      End& refuser = c.server_refuses ? w.server : w.client;
      End& refused = c.server_refuses ? w.client : w.server;
      CHECK(refuser.failures == 1);
      CHECK(refuser.error.code == Code::tls_failed);
      CHECK(refuser.error.side == (c.server_refuses ? Side::downstream : Side::upstream));
      CAPTURE(refuser.detail);
      CHECK(refuser.detail.starts_with(c.sentence));
      // A TLS 1.3 client has finished by the time that the server judges it.
      CHECK(refused.failures + refused.closes == 1);
      CHECK(refused.error.code == Code::tls_failed);
      if (refused.failures == 1) CHECK(refused.detail.starts_with("the peer refused with an alert: "));
    }
  }
}

TEST_CASE("tls: who is accepted") {
  using Type = config::SanMatcher::Type;
  const auto names = mesh().issue(
      {.common_name = "names", .sans = "DNS:*.shop.example,DNS:One.example,IP:10.0.0.7,email:a@b.c,URI:spiffe://x/y"});
  const auto hash = [](const TlsMaterial& m) {
    const net::BioPtr bio(BIO_new_mem_buf(m.cert_chain.data(), static_cast<int>(m.cert_chain.size())));
    const net::X509Ptr leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    return net::sha256_hex(leaf.get());
  };
  struct Case {
    const char* name;
    config::ValidationContext validation;
    std::string host;
    bool trust, good;
  };
  const std::vector<Case> cases = {
      {"a wildcard", {.sans = {exact(Type::dns, "web.shop.example")}}, "", true, true},
      {"a wildcard is one label", {.sans = {exact(Type::dns, "a.web.shop.example")}}, "", true, false},
      {"a wildcard is not nothing", {.sans = {exact(Type::dns, "shop.example")}}, "", true, false},
      {"case of DNS names", {.sans = {exact(Type::dns, "one.EXAMPLE")}}, "", true, true},
      {"any of several", {.sans = {exact(Type::uri, "no"), exact(Type::ip, "10.0.0.7")}}, "", true, true},
      {"email", {.sans = {exact(Type::email, "a@b.c")}}, "", true, true},
      {"any kind", {.sans = {exact(Type::any, "spiffe://x/y")}}, "", true, true},
      {"prefix",
       {.sans = {{Type::uri, {.kind = config::StringMatcher::Kind::prefix, .text = "spiffe://x/"}}}},
       "",
       true,
       true},
      {"hash", {.certificate_hashes = {"00", hash(*names)}}, "", true, true},
      {"hash without trust", {.certificate_hashes = {hash(*names)}}, "", false, true},
      {"another hash without trust", {.certificate_hashes = {hash(*web())}}, "", false, false},
      {"host", {}, "WEB.shop.example", true, true},
      {"host is an address", {}, "10.0.0.7", true, true},
      {"host is another address", {}, "10.0.0.8", true, false},
      {"untrusted is accepted", {.sans = {exact(Type::uri, "no")}, .trust_chain_verification = false}, "", true, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Plan server = mutual(names);
    server.config.has_validation = server.config.require_client_certificate = false;
    Plan client = mutual(cart());
    client.config.validation = c.validation;
    if (!c.trust) client.secrets.trust = nullptr;
    World w;
    w.connect(server, client, {.verify_host = c.host});
    CAPTURE(w.client.detail);
    CHECK(w.is_up() == c.good);
    if (!w.is_up()) continue;
    // Names of a peer that did not pass are not told.
    CHECK(w.client.transport->tls()->peer_uri_san == (c.validation.trust_chain_verification ? "spiffe://x/y" : ""));
    CHECK(w.server.transport->tls()->peer_certificate_hash.empty());
  }
}

TEST_CASE("tls: a client certificate may be optional, and nothing is verified where nothing is asked") {
  Plan server = mutual(web());
  server.config.require_client_certificate = false;
  Plan without = mutual(cart());
  without.secrets.certificates.clear();
  World w;
  w.connect(server, without);
  REQUIRE(w.is_up());
  CHECK(w.server.transport->tls()->peer_uri_san.empty());
  World with;
  with.connect(server, mutual(cart()));
  REQUIRE(with.is_up());
  CHECK(with.server.transport->tls()->peer_uri_san == kCart);

  World blind;
  Plan unasking;
  blind.connect(server, unasking);
  REQUIRE(blind.is_up());
  CHECK(blind.client.transport->tls()->peer_uri_san.empty());  // seen, but nobody vouches for it
  CHECK(blind.client.transport->tls()->peer_certificate_hash.size() == 64);
}

TEST_CASE("tls: ALPN follows the server's order, and no overlap is no ALPN") {
  struct Case {
    std::vector<std::string> server, client;
    const char* agreed;
  };
  for (const Case& c : std::vector<Case>{{{"h2", "http/1.1"}, {"http/1.1", "h2"}, "h2"},
                                         {{"http/1.1", "h2"}, {"h2", "http/1.1"}, "http/1.1"},
                                         {{"h2"}, {"http/1.1"}, ""},
                                         {{}, {"h2"}, ""},
                                         {{"h2"}, {}, ""},
                                         {{"h2"}, {"istio-peer-exchange", "h2"}, "h2"}}) {
    Plan server = mutual(web());
    server.config.alpn = c.server;
    Plan client = mutual(cart());
    client.config.alpn = c.client;
    client.config.sni = "Outbound.Web.Shop";
    World w;
    w.connect(server, client);
    REQUIRE(w.is_up());
    CHECK(w.client.transport->tls()->alpn == c.agreed);
    CHECK(w.server.transport->tls()->alpn == c.agreed);
    CHECK(w.server.transport->tls()->sni == "outbound.web.shop");
    CHECK(w.client.transport->tls()->sni == "outbound.web.shop");
  }
  World w;
  Plan client = mutual(cart());
  client.config.sni = "context";
  w.connect(mutual(web()), client, {.sni = "dial"});
  REQUIRE(w.is_up());
  CHECK(w.server.transport->tls()->sni == "dial");
}

TEST_CASE("tls: what a dial offers by ALPN counts where the context names nothing") {
  struct Case {
    net::AlpnOffer offer;
    std::vector<std::string> own;
    const char* agreed;
  };
  for (const Case& c : std::vector<Case>{{net::AlpnOffer::none, {}, ""},
                                         {net::AlpnOffer::http11, {}, "http/1.1"},
                                         {net::AlpnOffer::http2, {}, "h2"},
                                         {net::AlpnOffer::http2_or_http11, {}, "h2"},
                                         {net::AlpnOffer::http2, {"http/1.1"}, "http/1.1"}}) {
    Plan server = mutual(web());
    server.config.alpn = {"h2", "http/1.1"};
    Plan client = mutual(cart());
    client.config.alpn = c.own;
    World w;
    w.connect(server, client, {.alpn_default = c.offer});
    REQUIRE(w.is_up());
    CHECK(w.client.transport->tls()->alpn == c.agreed);
    CHECK(w.server.transport->tls()->alpn == c.agreed);
  }
}

TEST_CASE("tls: HTTP/1 inside of HTTP/2 is offered first, by who has a certificate and speaks HTTP") {
  struct Case {
    net::AlpnOffer offer;
    std::vector<std::string> own;
    bool has_certificate;
    bool asked;
    std::vector<std::string> server;
    const char* agreed;
  };
  const std::vector<std::string> pillion = {"pillion-h2", "h2", "http/1.1"};
  const std::vector<std::string> envoy = {"h2", "http/1.1"};
  using net::AlpnOffer;
  for (const Case& c : std::vector<Case>{{AlpnOffer::http11, {}, true, true, pillion, "pillion-h2"},
                                         {AlpnOffer::http2, {}, true, true, pillion, "pillion-h2"},
                                         {AlpnOffer::none, {"h2", "http/1.1"}, true, true, pillion, "pillion-h2"},
                                         {AlpnOffer::none, {"http/1.1"}, true, true, pillion, "pillion-h2"},
                                         {AlpnOffer::http11, {}, true, true, envoy, "http/1.1"},
                                         {AlpnOffer::http2_or_http11, {}, true, true, envoy, "h2"},
                                         {AlpnOffer::http11, {}, true, false, pillion, "http/1.1"},
                                         {AlpnOffer::http11, {}, false, true, pillion, "http/1.1"},
                                         {AlpnOffer::none, {}, true, true, pillion, ""},
                                         {AlpnOffer::none, {"mqtt"}, true, true, pillion, ""}}) {
    CAPTURE(c.agreed);
    Plan server = mutual(web());
    server.config.alpn = c.server;
    server.config.require_client_certificate = c.has_certificate;
    Plan client = mutual(cart());
    client.config.alpn = c.own;
    if (!c.has_certificate) client.secrets.certificates.clear();
    World w;
    w.connect(server, client, {.alpn_default = c.offer, .carries_http1 = c.asked});
    REQUIRE(w.is_up());
    CHECK(w.client.transport->tls()->alpn == c.agreed);
    CHECK(w.server.transport->tls()->alpn == c.agreed);
  }
}

TEST_CASE("tls: an RSA and an ECDSA certificate serve the clients that know only one of them") {
  Plan server = mutual(web());
  server.config.version_max = 0x0303;
  server.secrets.certificates.push_back(
      mesh().issue({.common_name = "rsa", .sans = "URI:spiffe://mesh/rsa", .rsa = true}));
  for (const auto& [ciphers, uri] : {std::pair{"ECDHE-RSA-AES128-GCM-SHA256", "spiffe://mesh/rsa"},
                                     std::pair{"ECDHE-ECDSA-AES128-GCM-SHA256", kWeb}}) {
    Plan client = mutual(cart());
    client.config.ciphers = ciphers;
    World w;
    w.connect(server, client);
    REQUIRE(w.is_up());
    CHECK(w.client.transport->tls()->peer_uri_san == uri);
    CHECK(w.client.transport->tls()->cipher == ciphers);
  }
}

TEST_CASE("tls: contexts that cannot be made say which field is wrong") {
  struct Case {
    const char* sentence;
    void (*spoil)(Plan&);
  };
  for (const Case& c : {
           Case{"tls_certificates: a server needs one", [](Plan& p) { p.secrets.certificates.clear(); }},
           Case{"tls_certificates[0]: the secret is not there", [](Plan& p) { p.secrets.certificates[0] = nullptr; }},
           Case{"tls_certificates[0]: the key does not belong to the certificate",
                [](Plan& p) {
                  auto mixed = std::make_shared<TlsMaterial>(*web());
                  mixed->private_key = cart()->private_key;
                  p.secrets.certificates[0] = mixed;
                }},
           Case{"tls_certificates[0]: the private key cannot be read",
                [](Plan& p) {
                  auto mixed = std::make_shared<TlsMaterial>(*web());
                  mixed->private_key = "x";
                  p.secrets.certificates[0] = mixed;
                }},
           Case{"tls_certificates[0]: there is no certificate in the chain",
                [](Plan& p) { p.secrets.certificates[0] = mesh().trust(); }},
           Case{"tls_certificates[1]: there is a certificate with a key of this kind already",
                [](Plan& p) { p.secrets.certificates.push_back(cart()); }},
           Case{"validation_context.trusted_ca: there is no certificate in it",
                [](Plan& p) { p.secrets.trust = cart(); }},
           Case{"validation_context.trusted_ca: the secret is not there",
                [](Plan& p) {
                  p.secrets.trust = nullptr;
                  p.config.validation.trust.name = "ROOTCA";
                }},
           Case{"tls_params.cipher_suites: no cipher of \"rot13\" is known",
                [](Plan& p) { p.config.ciphers = "rot13"; }},
           Case{"tls_params.ecdh_curves: \"X25519:P-1\" has a curve that is not known",
                [](Plan& p) { p.config.curves = {"X25519", "P-1"}; }},
           Case{"tls_params: the versions are not TLS 1.2 or TLS 1.3", [](Plan& p) { p.config.version_min = 0x0301; }},
           Case{"alpn_protocols: a name must have 1 to 255 octets", [](Plan& p) { p.config.alpn = {""}; }},
       }) {
    CAPTURE(c.sentence);
    Plan plan = mutual(web());
    c.spoil(plan);
    const auto made = net::make_server_context(plan.config, plan.secrets);
    REQUIRE(!made.has_value());
    CHECK(made.error() == c.sentence);
  }
}
