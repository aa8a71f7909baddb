#include "certs/csr.h"

#include <openssl/rsa.h>
#include <sys/stat.h>

#include "tests/unit/certs/test_pki.h"

using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

KeyPtr ec_key(const char* curve) {
  return KeyPtr(EVP_EC_gen(curve));
}

// A key whose curve is spelled out as numbers, which a hostile one could bend (CVE-2020-0601).
KeyPtr explicit_curve_key() {
  const KeyContextPtr context{EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
  EVP_PKEY* key = nullptr;
  const char curve[] = "P-256";
  const char encoding[] = "explicit";
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("group", const_cast<char*>(curve), 0),
                               OSSL_PARAM_construct_utf8_string("encoding", const_cast<char*>(encoding), 0),
                               OSSL_PARAM_construct_end()};
  REQUIRE(EVP_PKEY_keygen_init(context.get()) == 1);
  REQUIRE(EVP_PKEY_CTX_set_params(context.get(), params) == 1);
  REQUIRE(EVP_PKEY_generate(context.get(), &key) == 1);
  return KeyPtr(key);
}

}  // namespace

TEST_CASE("csr: what we make is accepted by us and by openssl req") {
  const TempDir dir;
  const auto made = make_key_and_csr(web());
  REQUIRE(made.has_value());
  CHECK(public_key_of_csr(made->csr).has_value());
  spill(dir / "csr.pem", made->csr);
  const auto seen = openssl("req -in " + dir / "csr.pem" + " -verify -noout -text");
  CHECK(seen.status == 0);
  CHECK(contains(seen.output, "verify OK"));
  CHECK(contains(seen.output, "URI:spiffe://shop.mesh/ns/shop/sa/web"));
  CHECK(contains(seen.output, "prime256v1"));
  CHECK_FALSE(contains(seen.output, "PRIVATE"));
}

TEST_CASE("csr: a request that is not signed by its own key is refused") {
  const KeyPtr key = ec_key("P-256");
  const KeyPtr other = ec_key("P-256");
  const std::string stolen = make_raw_csr(*key, {}, {}, other.get());
  CHECK(contains(public_key_of_csr(stolen).error().reason, "not signed by the key it names"));
  const std::string swapped =
      make_raw_csr(*key, {}, [&](X509_REQ& csr) { REQUIRE(X509_REQ_set_pubkey(&csr, other.get()) == 1); });
  CHECK(contains(public_key_of_csr(swapped).error().reason, "not signed by the key it names"));
}

TEST_CASE("csr: keys are P-256 or P-384 by name, and nothing else") {
  struct Case {
    const char* name;
    KeyPtr key;
    bool ok;
  };
  Case cases[] = {
      {"P-256", ec_key("P-256"), true},
      {"P-384", ec_key("P-384"), true},
      {"P-521", ec_key("P-521"), false},
      {"P-224", ec_key("P-224"), false},
      {"secp256k1", ec_key("secp256k1"), false},
      {"explicit parameters", explicit_curve_key(), false},
      {"RSA 2048", KeyPtr(EVP_RSA_gen(2048)), false},
      {"RSA 1024", KeyPtr(EVP_RSA_gen(1024)), false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    REQUIRE(c.key != nullptr);
    CHECK(public_key_of_csr(make_raw_csr(*c.key)).has_value() == c.ok);
  }
}

TEST_CASE("csr: damaged, doubled, long and empty requests are refused") {
  const std::string good = make_raw_csr(*ec_key("P-256"));
  CHECK(public_key_of_csr(good).has_value());
  CHECK_FALSE(public_key_of_csr("").has_value());
  CHECK_FALSE(public_key_of_csr("hello").has_value());
  CHECK_FALSE(public_key_of_csr(good.substr(0, good.size() / 2)).has_value());
  CHECK(contains(public_key_of_csr(good + good).error().reason, "more than one"));
  CHECK(contains(public_key_of_csr(good + std::string(kMaxCsrBytes, ' ')).error().reason, "longer"));
  // Whatever one changed character does to the encoding, it never yields another request that is accepted.
  for (size_t at = 40; at + 40 < good.size(); at += 7) {
    CAPTURE(at);
    std::string bad = good;
    bad[at] = bad[at] == 'A' ? 'B' : 'A';
    if (good[at] == '\n') continue;  // Line breaks carry nothing.
    CHECK_FALSE(public_key_of_csr(bad).has_value());
  }
}

TEST_CASE("csr: a key file is made once, with mode 0600, and kept") {
  const TempDir dir;
  const std::string path = dir / "key.pem";
  const auto first = make_csr_with_key_file(path, web());
  const auto second = make_csr_with_key_file(path, web());
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  CHECK(first->private_key == second->private_key);
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  REQUIRE(::chmod(path.c_str(), 0640) == 0);
  const auto open_to_all = make_csr_with_key_file(path, web());
  REQUIRE_FALSE(open_to_all.has_value());
  CHECK(contains(open_to_all.error().reason, "0600"));
  CHECK(open_to_all.error().file == path);
}

TEST_CASE("csr: an encrypted key is refused without asking for a password") {
  const TempDir dir;
  REQUIRE(openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass pass:secret -out " +
                  dir / "key.pem")
              .status == 0);
  CHECK_FALSE(make_csr_with_key_file(dir / "key.pem", web()).has_value());
}
