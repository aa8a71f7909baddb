// Who may be signed for: by token, by the certificate at hand, and nobody else.
#include "xds/control/signing_service.h"

#include <stdlib.h>

#include <filesystem>

#include "certs/csr.h"
#include "certs/signing_messages.h"
#include "tests/unit/xds_control/support.h"

using namespace pillion;
using namespace pillion::xds::control;

namespace {

constexpr int64_t kNow = 1'800'000'000;
const char* kWeb = "spiffe://cluster.local/ns/shop/sa/web";

struct World {
  World() {
    char name[] = "/tmp/pillion-signing-XXXXXX";
    dir = mkdtemp(name);
    authority = std::move(*certs::BuiltinAuthority::open(dir, {.trust_domain = "cluster.local"}, kNow));
    tokens = std::make_unique<certs::TokenIssuer>(std::move(*certs::TokenIssuer::open(dir, kNow)));
    service = std::make_unique<SigningService>(*authority, *tokens, "cluster.local", 600);
    csr = certs::make_key_and_csr(*certs::SpiffeId::parse("spiffe://cluster.local/ns/x/sa/asked"))->csr;
  }
  ~World() { std::filesystem::remove_all(dir); }

  std::string token(const char* id, bool single_use = false) {
    return "Bearer " + *tokens->issue({.spiffe_id = *certs::SpiffeId::parse(id),
                                       .root_fingerprint = authority->root_fingerprint(),
                                       .address = "127.0.0.1:1",
                                       .single_use = single_use},
                                      kNow);
  }
  SigningService::Answer sign(const std::string& bearer, const std::string& peer, int64_t lifetime = 0) {
    return service->sign(certs::encode(certs::SigningRequest{csr, lifetime}), bearer, peer, kNow);
  }

  std::string dir;
  std::unique_ptr<certs::BuiltinAuthority> authority;
  std::unique_ptr<certs::TokenIssuer> tokens;
  std::unique_ptr<SigningService> service;
  std::string csr;
};

std::string signed_id(const SigningService::Answer& answer) {
  const auto response = certs::decode_signing_response(answer.message);
  REQUIRE(response);
  return certs::spiffe_id_of(*certs::parse_certificates(response->chain)->front())->to_string();
}

}  // namespace

TEST_CASE("signing_service: the token, or else the peer's certificate, says who it is for; the request does not") {
  World w;
  CHECK(signed_id(w.sign(w.token(kWeb), "")) == kWeb);
  CHECK(signed_id(w.sign("", kWeb)) == kWeb);
  CHECK(signed_id(w.sign(w.token("spiffe://cluster.local/ns/shop/sa/other"), kWeb)) ==
        "spiffe://cluster.local/ns/shop/sa/other");
}

TEST_CASE("signing_service: whoever proves nothing is refused") {
  World w;
  struct Case {
    const char* name;
    std::string bearer;
    std::string peer;
  };
  const Case kCases[] = {
      {"nothing", "", ""},
      {"no token", "Bearer x", ""},
      {"another scheme", "Basic x", ""},
      {"a bad token beside a good certificate", "Bearer x", kWeb},
      {"a peer of another trust domain", "", "spiffe://other/ns/shop/sa/web"},
      {"a peer without a SPIFFE ID", "", "http://web"},
      {"a token of another trust domain", w.token("spiffe://other/ns/shop/sa/web"), ""},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    const auto answer = w.sign(c.bearer, c.peer);
    CHECK(answer.status.code == 16);
    CHECK(answer.message.empty());
  }
}

TEST_CASE("signing_service: a request that cannot be signed does not spend its token") {
  World w;
  const std::string once = w.token(kWeb, true);
  CHECK(w.service->sign("\xff", once, "", kNow).status.code == 3);
  CHECK(w.service->sign(certs::encode(certs::SigningRequest{"no CSR", 0}), once, "", kNow).status.code == 3);
  CHECK(w.sign(once, "", 1).status.code == 3);
  CHECK(w.sign(once, "", -5).status.code == 3);
  CHECK(w.sign(once, "").status.ok());
  CHECK(w.sign(once, "").status.code == 16);
}
