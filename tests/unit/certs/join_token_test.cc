#include "certs/join_token.h"

#include <sys/stat.h>

#include "certs/encoding.h"
#include "certs/files.h"
#include "tests/unit/certs/test_pki.h"

using namespace pillion;
using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

TokenIssuer issuer_in(const TempDir& dir, int64_t now = kNow) {
  auto issuer = TokenIssuer::open(dir.path(), now);
  CAPTURE(issuer.has_value() ? "" : issuer.error().to_string());
  REQUIRE(issuer.has_value());
  return std::move(*issuer);
}

TokenRequest request(bool single_use = false) {
  return {.spiffe_id = web(),
          .lifetime_seconds = 600,
          .root_fingerprint = std::string(64, 'a'),
          .address = "control.mesh:15010",
          .single_use = single_use};
}

// A token with the payload of choice and a code that belongs to another key.
std::string handmade(const std::string& payload) {
  return "pjt1." + base64url_encode(payload) + "." + base64url_encode(std::string(32, 'm'));
}

std::string payload(const std::string& expires = "1800000600", const std::string& address = "c:1") {
  return "id=" + std::string(32, '0') + "\nspiffe=spiffe://d/x\nexp=" + expires + "\nroot=" + std::string(64, 'a') +
         "\naddr=" + address + "\nonce=0\n";
}

}  // namespace

TEST_CASE("join token: both sides read what was put in") {
  const TempDir dir;
  auto issuer = issuer_in(dir);
  const auto token = issuer.issue(request(), kNow);
  REQUIRE(token.has_value());
  CHECK(token->starts_with("pjt1."));
  const auto client = read_join_token(*token);
  const auto server = issuer.redeem(*token, kNow);
  for (const auto* seen : {&client, &server}) {
    REQUIRE(seen->has_value());
    CHECK((*seen)->spiffe_id == web());
    CHECK((*seen)->expires_at == kNow + 600);
    CHECK((*seen)->root_fingerprint == std::string(64, 'a'));
    CHECK((*seen)->address == "control.mesh:15010");
    CHECK((*seen)->id.size() == 32);
    CHECK_FALSE((*seen)->single_use);
  }
  CHECK(issuer.redeem(*token, kNow).has_value());  // Not for one use: the next replica joins with it too.
}

TEST_CASE("join token: one changed, missing or added byte anywhere is found, and the token is not repeated") {
  const TempDir dir;
  const auto issuer = issuer_in(dir);
  const std::string token = *issuer.issue(request(), kNow);
  const auto refuse = [&](const std::string& bad) {
    const auto seen = issuer.check(bad, kNow);
    REQUIRE_FALSE(seen.has_value());
    CHECK_FALSE(contains(seen.error().to_string(), token.substr(5, 12)));
    CHECK_FALSE(contains(seen.error().to_string(), "shop.mesh"));
  };
  for (size_t at = 0; at < token.size(); ++at) {
    CAPTURE(at);
    for (const char with : {'A', 'B', 'x', '.', '=', '\n', '\0', '\xff'}) {
      std::string bad = token;
      bad[at] = with;
      if (bad != token) refuse(bad);
    }
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = token;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      refuse(bad);
    }
    refuse(token.substr(0, at));
    refuse(token.substr(0, at) + token.substr(at + 1));
    refuse(token.substr(0, at) + "A" + token.substr(at));
  }
  refuse(token + "A");
  refuse(token + "\n");
  refuse(" " + token);
  refuse(token + "." + token);
}

TEST_CASE("join token: it is valid until the second before it expires") {
  const TempDir dir;
  const auto issuer = issuer_in(dir);
  const std::string token = *issuer.issue(request(), kNow);
  CHECK(issuer.check(token, kNow + 599).has_value());
  const auto late = issuer.check(token, kNow + 600);
  REQUIRE_FALSE(late.has_value());
  CHECK(contains(late.error().reason, "expired at 2027-01-15T08:10:00Z"));
}

TEST_CASE("join token: another control plane's token is refused") {
  const TempDir ours;
  const TempDir theirs;
  const std::string token = *issuer_in(theirs).issue(request(), kNow);
  const auto seen = issuer_in(ours).check(token, kNow);
  REQUIRE_FALSE(seen.has_value());
  CHECK(contains(seen.error().reason, "not made by this control plane"));
}

TEST_CASE("join token: a single-use token is good once, also over a restart") {
  const TempDir dir;
  auto issuer = issuer_in(dir);
  const std::string token = *issuer.issue(request(true), kNow);
  CHECK(issuer.check(token, kNow).has_value());  // Looking does not use it up.
  CHECK(issuer.redeem(token, kNow).has_value());
  CHECK(contains(issuer.redeem(token, kNow).error().reason, "used already"));
  auto restarted = issuer_in(dir);
  CHECK(contains(restarted.redeem(token, kNow).error().reason, "used already"));
  // What has expired is forgotten: the clock refuses it now.
  auto later = issuer_in(dir, kNow + 600);
  CHECK(contains(later.redeem(token, kNow + 600).error().reason, "expired"));
  CHECK(later.redeem(*later.issue(request(true), kNow + 600), kNow + 600).has_value());
  CHECK(slurp(dir / "used-tokens").size() == 32 + 1 + 10 + 1);
}

TEST_CASE("join token: the memory of used tokens is bounded, and fails closed") {
  const TempDir dir;
  std::string full;
  for (size_t i = 0; i < kMaxUsedTokens; ++i) {
    std::string id = std::to_string(i);
    full += std::string(32 - id.size(), '0') + id + " " + std::to_string(kNow + 10) + "\n";
  }
  spill(dir / "used-tokens", full);
  auto issuer = issuer_in(dir);
  const std::string token = *issuer.issue(request(true), kNow);
  CHECK(contains(issuer.redeem(token, kNow).error().reason, "too many"));
  CHECK(issuer.redeem(*issuer.issue(request(false), kNow), kNow).has_value());
  CHECK(issuer.redeem(token, kNow + 10).has_value());
}

TEST_CASE("join token: if its use cannot be remembered it is not accepted") {
  const TempDir dir;
  auto issuer = issuer_in(dir);
  const std::string token = *issuer.issue(request(true), kNow);
  std::filesystem::create_directory(dir / "used-tokens");
  const auto refused = issuer.redeem(token, kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().file == dir / "used-tokens");
  std::filesystem::remove(dir / "used-tokens");
  CHECK(issuer.redeem(token, kNow).has_value());
}

TEST_CASE("join token: what cannot be in one is refused when it is made") {
  const TempDir dir;
  const auto issuer = issuer_in(dir);
  const auto with = [&](auto change) {
    TokenRequest asked = request();
    change(asked);
    return issuer.issue(asked, kNow).has_value();
  };
  CHECK(with([](TokenRequest&) {}));
  CHECK(with([](TokenRequest& r) { r.lifetime_seconds = kMaxTokenLifetimeSeconds; }));
  CHECK_FALSE(with([](TokenRequest& r) { r.lifetime_seconds = kMaxTokenLifetimeSeconds + 1; }));
  CHECK_FALSE(with([](TokenRequest& r) { r.lifetime_seconds = 0; }));
  CHECK_FALSE(with([](TokenRequest& r) { r.root_fingerprint = "abc"; }));
  CHECK_FALSE(with([](TokenRequest& r) { r.root_fingerprint = std::string(64, 'A'); }));
  CHECK_FALSE(with([](TokenRequest& r) { r.spiffe_id = *SpiffeId::parse("spiffe://shop.mesh"); }));
  for (const char* good : {"10.0.0.1:15010", "[::1]:1", "[fe80::1%eth0]:65535", "a-b.c:80"}) {
    CAPTURE(good);
    CHECK(with([&](TokenRequest& r) { r.address = good; }));
  }
  for (const char* bad : {"", "host", "host:", ":80", "host:0", "host:65536", "host:080", "host:8 0", "ho st:80",
                          "host\n:80", "::1:80", "[]:80", "host:80\nonce=1", "host:-1", "host:+1"}) {
    CAPTURE(bad);
    CHECK_FALSE(with([&](TokenRequest& r) { r.address = bad; }));
  }
}

TEST_CASE("join token: the bearer's side reads only whole payloads in their one spelling") {
  CHECK(read_join_token(handmade(payload())).has_value());
  const std::string bad[] = {
      "",
      "id=1\n",
      payload() + "more=1\n",
      payload() + "\n",
      payload().substr(1),
      payload("+1800000600"),
      payload("01800000600"),
      payload("18000006000000000000000"),
      payload("x"),
      payload("1", "c"),
      payload("1", "c:1\r"),
      std::string(5000, 'x'),
  };
  for (const std::string& text : bad) {
    CAPTURE(text);
    CHECK_FALSE(read_join_token(handmade(text)).has_value());
  }
  for (const char* text : {"", ".", "..", "pjt1.", "pjt1..", "pjt2.YQ.YQ", "pjt1.YQ", "pjt1.YQ.YQ"}) {
    CAPTURE(text);
    CHECK_FALSE(read_join_token(text).has_value());
  }
}

TEST_CASE("join token: the key is for its owner only, and a damaged state is an error") {
  const TempDir dir;
  issuer_in(dir);
  struct stat info{};
  REQUIRE(::stat((dir / "token.key").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(info.st_size == 32);
  spill(dir / "used-tokens", std::string(32, '0') + " 1900000000\nbroken\n");
  const auto damaged = TokenIssuer::open(dir.path(), kNow);
  REQUIRE_FALSE(damaged.has_value());
  CHECK(damaged.error().line == 2);
  std::filesystem::remove(dir / "used-tokens");
  REQUIRE(::chmod((dir / "token.key").c_str(), 0660) == 0);
  CHECK_FALSE(TokenIssuer::open(dir.path(), kNow).has_value());
  spill(dir / "token.key", "short");
  CHECK_FALSE(TokenIssuer::open(dir.path(), kNow).has_value());
}
