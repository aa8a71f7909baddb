#include "proxy/net/certificate_info.h"

#include <doctest/doctest.h>

#include "proxy/base/time.h"
#include "tests/unit/net/tls_pki.h"

using namespace pillion;
using namespace pillion::net;

TEST_CASE("certificate info: every certificate of a chain, with names of three kinds") {
  const test::Authority root("root");
  const auto leaf = root.issue({.sans = "DNS:a.test,email:x@a.test,URI:spiffe://mesh/a,IP:10.0.0.1,IP:::1"});
  const auto infos = describe_certificates(leaf->private_key + "some words\n" + leaf->cert_chain + root.pem());
  REQUIRE(infos.size() == 2);
  const CertificateInfo& first = infos[0];
  using Kind = SubjectAltName::Kind;
  const std::vector<std::pair<Kind, std::string>> wanted = {
      {Kind::dns, "a.test"}, {Kind::uri, "spiffe://mesh/a"}, {Kind::ip, "10.0.0.1"}, {Kind::ip, "::1"}};
  REQUIRE(first.subject_alt_names.size() == wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    CHECK(first.subject_alt_names[i].kind == wanted[i].first);
    CHECK(first.subject_alt_names[i].value == wanted[i].second);
  }
  CHECK(first.not_after - first.not_before == 3660);
  CHECK(first.not_after > wall_now_us() / 1'000'000);
  CHECK(first.serial_number.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(first.serial_number.size() == 4);  // the tests count from 1000
  CHECK(first.serial_number != infos[1].serial_number);
}

TEST_CASE("certificate info: what is no certificate ends the list") {
  const test::Authority root("root");
  const std::string broken = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  struct Case {
    std::string pem;
    size_t found;
  };
  for (const Case& c :
       {Case{"", 0}, {"words", 0}, {broken, 0}, {root.pem() + broken, 1}, {root.pem().substr(0, 100), 0}}) {
    CAPTURE(c.pem);
    CHECK(describe_certificates(c.pem).size() == c.found);
  }
}
