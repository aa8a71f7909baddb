#include "certs/spiffe.h"

#include "tests/unit/certs/test_pki.h"

using namespace pillion::certs;
using namespace pillion::certs::test;

TEST_CASE("spiffe: what the standard allows is parsed into its parts") {
  struct Case {
    const char* uri;
    const char* domain;
    const char* path;
  };
  static constexpr Case kCases[] = {
      {"spiffe://shop.mesh", "shop.mesh", ""},
      {"spiffe://shop.mesh/ns/shop/sa/web", "shop.mesh", "/ns/shop/sa/web"},
      {"spiffe://a", "a", ""},
      {"spiffe://0-1_2.x/A.b-C_d", "0-1_2.x", "/A.b-C_d"},
      {"spiffe://d/...", "d", "/..."},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.uri);
    const auto id = SpiffeId::parse(c.uri);
    REQUIRE(id.has_value());
    CHECK(id->to_string() == c.uri);
    CHECK(id->trust_domain() == c.domain);
    CHECK(id->path() == c.path);
  }
}

TEST_CASE("spiffe: what the standard refuses is refused, without repeating it") {
  static constexpr std::string_view kCases[] = {
      "",
      "spiffe:",
      "spiffe://",
      "spiffe:///x",
      "SPIFFE://d/x",
      "Spiffe://d/x",
      "https://d/x",
      "spiffe://D/x",
      "spiffe://d/",
      "spiffe://d/x/",
      "spiffe://d//x",
      "spiffe://d/./x",
      "spiffe://d/../x",
      "spiffe://d/x/..",
      "spiffe://d:80/x",
      "spiffe://u@d/x",
      "spiffe://d/x?q",
      "spiffe://d/x#f",
      "spiffe://d/%41",
      "spiffe://d/x y",
      "spiffe://d/x\n",
      " spiffe://d/x",
      "spiffe://\xc3\xa4/x",
      "spiffe://d/\xc3\xa4",
      "spiffe://[::1]/x",
      {"spiffe://d/x\0y", 14},
      "spiffe://d/a,URI:spiffe://d/b",
      "spiffe://d/*",
  };
  for (const std::string_view uri : kCases) {
    CAPTURE(uri);
    const auto id = SpiffeId::parse(uri);
    REQUIRE_FALSE(id.has_value());
    if (uri.size() > 11) CHECK_FALSE(contains(id.error().reason, uri));
  }
}

TEST_CASE("spiffe: the limits of the standard hold to the byte") {
  const std::string domain(kMaxTrustDomainBytes, 'd');
  CHECK(SpiffeId::parse("spiffe://" + domain + "/x").has_value());
  CHECK_FALSE(SpiffeId::parse("spiffe://d" + domain + "/x").has_value());
  const std::string prefix = "spiffe://d/";
  CHECK(SpiffeId::parse(prefix + std::string(kMaxSpiffeIdBytes - prefix.size(), 'x')).has_value());
  CHECK_FALSE(SpiffeId::parse(prefix + std::string(kMaxSpiffeIdBytes - prefix.size() + 1, 'x')).has_value());
}

TEST_CASE("spiffe: service accounts are made and recognized") {
  const auto id = SpiffeId::for_service_account("shop.mesh", "shop", "web");
  REQUIRE(id.has_value());
  CHECK(*id == web());
  REQUIRE(id->service_account().has_value());
  CHECK(id->service_account()->name_space == "shop");
  CHECK(id->service_account()->name == "web");
  CHECK_FALSE(SpiffeId::for_service_account("d", "a/sa/b", "c").has_value());
  CHECK_FALSE(SpiffeId::for_service_account("d", "", "c").has_value());
  CHECK_FALSE(SpiffeId::for_service_account("d", "a", "..").has_value());
  for (const char* other : {"spiffe://d", "spiffe://d/ns/a", "spiffe://d/ns/a/sa", "spiffe://d/ns/a/sa/b/c",
                            "spiffe://d/ns/a/b/sa/c", "spiffe://d/NS/a/sa/b", "spiffe://d/x/ns/a/sa/b"}) {
    CAPTURE(other);
    CHECK_FALSE(SpiffeId::parse(other)->service_account().has_value());
  }
}

TEST_CASE("spiffe: a certificate has exactly one URI name, compared by type and length") {
  struct Case {
    const char* name;
    LeafPlan plan;
    const char* reason;  // Empty: the identity is found.
  };
  using namespace std::string_literals;
  const std::string good = web().to_string();
  const Case cases[] = {
      {"one URI", {}, ""},
      {"a DNS name beside it", {.dns_names = {"web.shop"}}, ""},
      {"two URIs", {.uris = {good, "spiffe://shop.mesh/ns/shop/sa/other"}}, "more than one URI name"},
      {"the same URI twice", {.uris = {good, good}}, "more than one URI name"},
      {"no URI", {.uris = {}, .dns_names = {"web.shop"}}, "no URI name"},
      {"a DNS name that looks like one", {.uris = {}, .dns_names = {good}}, "no URI name"},
      {"no extension", {.has_names = false}, "no subject alternative name"},
      {"a NUL inside", {.uris = {good + "\0.evil"s}}, "NUL"},
      {"a NUL at the end", {.uris = {good + "\0"s}}, "NUL"},
      {"a NUL first", {.uris = {"\0"s + good}}, "NUL"},
      {"an empty URI", {.uris = {""}}, "starts with"},
      {"another scheme", {.uris = {"https://shop.mesh/x"}}, "starts with"},
  };
  const auto root = make_root(kDomain, kNow);
  REQUIRE(root.has_value());
  const auto key = make_p256_key();
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const CertPtr leaf = make_leaf(*root, **key, c.plan);
    const auto id = spiffe_id_of(*leaf);
    CHECK(id.has_value() == (*c.reason == 0));
    if (id.has_value()) CHECK(*id == web());
    if (!id.has_value()) CHECK(contains(id.error().reason, c.reason));
  }
}

TEST_CASE("spiffe: a second name extension is not looked past") {
  const auto root = make_root(kDomain, kNow);
  const auto key = make_p256_key();
  const CertPtr leaf = make_leaf(*root, **key, {});
  REQUIRE(add_uri_name(*leaf, *SpiffeId::parse("spiffe://shop.mesh/ns/shop/sa/admin"), true));
  const auto id = spiffe_id_of(*leaf);
  REQUIRE_FALSE(id.has_value());
  CHECK(contains(id.error().reason, "more than one subject alternative name extension"));
}
