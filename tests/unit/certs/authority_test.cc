#include "certs/authority.h"

#include <openssl/bn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "certs/csr.h"
#include "certs/verify.h"
#include "tests/unit/certs/test_pki.h"

using namespace pillion;
using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

std::unique_ptr<BuiltinAuthority> open_in(const std::string& dir, int64_t max = kMaxLeafLifetimeSeconds) {
  auto opened = BuiltinAuthority::open(dir, {.trust_domain = kDomain, .max_lifetime_seconds = max}, kNow);
  CAPTURE(opened.has_value() ? "" : opened.error().to_string());
  REQUIRE(opened.has_value());
  return std::move(*opened);
}

std::string good_csr() {
  return make_key_and_csr(web())->csr;
}

Result<SpiffeId> judge(const std::string& bundle, const std::string& chain, int64_t now = kNow) {
  return Verifier::make(kDomain, bundle)->verify_pem(chain, PeerRole::server, now);
}

}  // namespace

TEST_CASE("authority: a workload's certificate is what openssl expects of one") {
  const TempDir dir;
  const auto authority = open_in(dir / "state");
  const auto issued = authority->sign(good_csr(), web(), 3600, kNow);
  REQUIRE(issued.has_value());
  CHECK(issued->not_before == kNow - kNotBeforeSkewSeconds);
  CHECK(issued->not_after == kNow + 3600);
  spill(dir / "leaf.pem", issued->chain);
  spill(dir / "root.pem", authority->bundle());
  for (const char* purpose : {"sslserver", "sslclient"}) {
    CAPTURE(purpose);
    const auto seen = openssl("verify -x509_strict -check_ss_sig -attime " + std::to_string(kNow) + " -purpose " +
                              purpose + " -CAfile " + dir / "root.pem" + " " + dir / "leaf.pem");
    CAPTURE(seen.output);
    CHECK(seen.status == 0);
  }
  const auto text = openssl("x509 -noout -text -in " + dir / "leaf.pem").output;
  CAPTURE(text);
  for (const char* part :
       {"Version: 3", "ecdsa-with-SHA256", "prime256v1", "Subject: \n", "X509v3 Subject Alternative Name: critical",
        "URI:spiffe://shop.mesh/ns/shop/sa/web\n", "CA:FALSE", "X509v3 Key Usage: critical", "Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication\n", "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier"}) {
    CAPTURE(part);
    CHECK(contains(text, part));
  }
  const auto root = openssl("x509 -noout -text -in " + dir / "root.pem").output;
  CAPTURE(root);
  for (const char* part : {"CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign\n", "URI:spiffe://shop.mesh\n"}) {
    CAPTURE(part);
    CHECK(contains(root, part));
  }
}

TEST_CASE("authority: nothing of a request counts but its key") {
  const auto wishes = [](X509_REQ& csr) {
    X509_NAME* name = X509_NAME_new();
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("admin"), -1, -1, 0);
    X509_REQ_set_subject_name(&csr, name);
    X509_NAME_free(name);
    STACK_OF(X509_EXTENSION)* list = sk_X509_EXTENSION_new_null();
    for (const auto& [nid, value] :
         {std::pair<int, const char*>{NID_basic_constraints, "critical,CA:TRUE"},
          {NID_key_usage, "keyCertSign"},
          {NID_ext_key_usage, "codeSigning"},
          {NID_subject_alt_name, "URI:spiffe://shop.mesh/ns/shop/sa/admin,DNS:admin.shop"}}) {
      sk_X509_EXTENSION_push(list, X509V3_EXT_conf_nid(nullptr, nullptr, nid, value));
    }
    X509_REQ_add_extensions(&csr, list);
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  };
  const TempDir dir;
  const auto authority = open_in(dir / "state");
  const auto key = make_p256_key();
  const auto issued = authority->sign(make_raw_csr(**key, wishes), web(), 3600, kNow);
  REQUIRE(issued.has_value());
  CHECK(judge(authority->bundle(), issued->chain) == web());
  const auto leaf = parse_certificates(issued->chain);
  CHECK(X509_check_ca(leaf->front().get()) == 0);
  CHECK(X509_get_key_usage(leaf->front().get()) == KU_DIGITAL_SIGNATURE);
  CHECK(X509_NAME_entry_count(X509_get_subject_name(leaf->front().get())) == 0);
  spill(dir / "leaf.pem", issued->chain);
  CHECK_FALSE(contains(openssl("x509 -noout -text -in " + dir / "leaf.pem").output, "admin"));
  CHECK(X509_check_private_key(leaf->front().get(), key->get()) == 1);
}

TEST_CASE("authority: a request that is not its sender's is not signed") {
  const TempDir dir;
  const auto authority = open_in(dir / "state");
  const auto key = make_p256_key();
  const auto other = make_p256_key();
  const auto refused = authority->sign(make_raw_csr(**key, {}, {}, other->get()), web(), 3600, kNow);
  REQUIRE_FALSE(refused.has_value());
  CHECK(contains(refused.error().reason, "not signed by the key it names"));
}

TEST_CASE("authority: lifetimes are capped by the limit and by the root, and only names of the domain are signed") {
  const TempDir dir;
  const auto authority = open_in(dir / "state");
  struct Case {
    int64_t asked;
    int64_t now;
    int64_t got;  // 0: refused.
  };
  const int64_t end = authority->root_not_after();
  const Case cases[] = {{10, kNow, 10},
                        {2, kNow, 2},
                        {1, kNow, 0},
                        {0, kNow, 0},
                        {-5, kNow, 0},
                        {kMaxLeafLifetimeSeconds + 1, kNow, kMaxLeafLifetimeSeconds},
                        {INT64_MAX, kNow, kMaxLeafLifetimeSeconds},
                        {3600, end - 100, 100},
                        {3600, end - 1, 0},
                        {3600, end + 1, 0}};
  for (const Case& c : cases) {
    CAPTURE(c.asked);
    const auto issued = authority->sign(good_csr(), web(), c.asked, c.now);
    CHECK(issued.has_value() == (c.got > 0));
    if (issued.has_value()) CHECK(issued->not_after == c.now + c.got);
  }
  CHECK(contains(authority->sign(good_csr(), web(), 60, end).error().reason, "expires at"));
  for (const char* id : {"spiffe://shop.mesh", "spiffe://other.mesh/ns/a/sa/b", "spiffe://shop.mesh.evil/x"}) {
    CAPTURE(id);
    CHECK_FALSE(authority->sign(good_csr(), *SpiffeId::parse(id), 3600, kNow).has_value());
  }
  const auto brief = open_in(dir / "brief", 5);
  CHECK(brief->sign(good_csr(), web(), 3600, kNow)->not_after == kNow + 5);
  for (const int64_t max : {int64_t{0}, int64_t{1}, kMaxLeafLifetimeSeconds + 1}) {
    CHECK_FALSE(
        BuiltinAuthority::open(dir / "x", {.trust_domain = kDomain, .max_lifetime_seconds = max}, kNow).has_value());
  }
}

TEST_CASE("authority: serials are positive, at most 20 octets, and differ") {
  const TempDir dir;
  const auto authority = open_in(dir / "state");
  const std::string csr = good_csr();
  std::set<std::string> seen;
  int widest = 0;
  for (int i = 0; i < 50; ++i) {
    const auto leaf = parse_certificates(authority->sign(csr, web(), 60, kNow)->chain);
    BIGNUM* number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(leaf->front().get()), nullptr);
    CHECK_FALSE(BN_is_negative(number));
    widest = std::max(widest, BN_num_bits(number));
    char* text = BN_bn2hex(number);
    seen.insert(text);
    OPENSSL_free(text);
    BN_free(number);
  }
  CHECK(seen.size() == 50);
  CHECK(widest <= 159);
  CHECK(widest >= 150);
}

TEST_CASE("authority: the root is kept over restarts, in a file for its owner only") {
  const TempDir dir;
  const std::string state = dir / "deep/state";
  const std::string print = open_in(state)->root_fingerprint();
  CHECK(print.size() == 64);
  CHECK(open_in(state)->root_fingerprint() == print);
  struct stat info{};
  REQUIRE(::stat((state + "/root.pem").c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  REQUIRE(::stat(state.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
}

TEST_CASE("authority: a damaged, foreign or open root file is an error, and is not replaced") {
  const TempDir dir;
  const std::string path = dir / "root.pem";
  open_in(dir.path());
  const std::string good = slurp(path);
  const auto reason_with = [&](const std::string& content) {
    spill(path, content);
    const auto opened = BuiltinAuthority::open(dir.path(), {.trust_domain = kDomain}, kNow);
    REQUIRE_FALSE(opened.has_value());
    CHECK(opened.error().file == path);
    CHECK(slurp(path) == content);
    return opened.error().reason;
  };
  reason_with("");
  reason_with(good.substr(0, good.size() / 2));
  reason_with(good.substr(0, good.find("-----BEGIN CERT")));
  reason_with(good.substr(good.find("-----BEGIN CERT")));
  const TempDir other;
  open_in(other.path());
  const std::string foreign = slurp(other / "root.pem");
  CHECK(contains(
      reason_with(foreign.substr(0, foreign.find("-----BEGIN CERT")) + good.substr(good.find("-----BEGIN CERT"))),
      "does not belong"));
  spill(path, good);
  const auto wrong_domain = BuiltinAuthority::open(dir.path(), {.trust_domain = "other.mesh"}, kNow);
  REQUIRE_FALSE(wrong_domain.has_value());
  CHECK(contains(wrong_domain.error().reason, "spiffe://shop.mesh, not for trust domain other.mesh"));
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(contains(BuiltinAuthority::open(dir.path(), {.trust_domain = kDomain}, kNow).error().reason, "0600"));
}

TEST_CASE("authority: several processes that start at once agree on one root") {
  constexpr int kProcesses = 8;
  for (int round = 0; round < 5; ++round) {
    const TempDir dir;
    int gate[2];
    REQUIRE(::pipe(gate) == 0);
    std::vector<pid_t> children;
    for (int i = 0; i < kProcesses; ++i) {
      const pid_t child = ::fork();
      REQUIRE(child >= 0);
      if (child == 0) {
        char byte = 0;
        ::close(gate[1]);
        [[maybe_unused]] const ssize_t opened_gate = ::read(gate[0], &byte, 1);  // Returns when the parent lets go.
        const auto authority = BuiltinAuthority::open(dir / "state", {.trust_domain = kDomain}, kNow);
        if (!authority.has_value()) ::_exit(1);
        const std::string name = "print-" + std::to_string(::getpid());
        std::ofstream(dir / name.c_str()) << (*authority)->root_fingerprint();
        ::_exit(0);
      }
      children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    std::set<std::string> prints;
    for (const pid_t child : children) {
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(WEXITSTATUS(status) == 0);
      prints.insert(slurp(dir / ("print-" + std::to_string(child)).c_str()));
    }
    CHECK(prints.size() == 1);
    CHECK(prints.contains(open_in(dir / "state")->root_fingerprint()));
    size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir / "state")) ++files;
    CHECK(files == 1);
  }
}

TEST_CASE("authority: a root is rotated without an instant at which a peer is refused") {
  const TempDir dir;
  auto authority = open_in(dir.path());
  const std::string old_print = authority->root_fingerprint();
  const std::string old_bundle = authority->bundle();
  const std::string old_leaf = authority->sign(good_csr(), web(), 3600, kNow)->chain;
  CHECK_FALSE(authority->activate_next_root(kNow).has_value());

  REQUIRE(authority->prepare_next_root(kNow).has_value());
  REQUIRE(authority->prepare_next_root(kNow).has_value());  // Asking twice makes no third root.
  const std::string both = authority->bundle();
  CHECK(parse_certificates(both)->size() == 2);
  CHECK(authority->root_fingerprint() == old_print);
  CHECK(judge(old_bundle, authority->sign(good_csr(), web(), 3600, kNow)->chain).has_value());
  authority = open_in(dir.path());
  CHECK(authority->bundle() == both);

  REQUIRE(authority->activate_next_root(kNow).has_value());
  const std::string new_print = authority->root_fingerprint();
  CHECK(new_print != old_print);
  const std::string new_leaf = authority->sign(good_csr(), web(), 3600, kNow)->chain;
  CHECK(judge(both, new_leaf).has_value());
  CHECK(judge(authority->bundle(), old_leaf).has_value());
  CHECK_FALSE(judge(old_bundle, new_leaf).has_value());
  authority = open_in(dir.path());
  CHECK(authority->root_fingerprint() == new_print);
  CHECK(judge(authority->bundle(), old_leaf).has_value());

  CHECK_FALSE(authority->forget_root(new_print).has_value());
  CHECK_FALSE(authority->forget_root("00").has_value());
  REQUIRE(authority->forget_root(old_print).has_value());
  CHECK_FALSE(judge(authority->bundle(), old_leaf).has_value());
  CHECK(judge(authority->bundle(), new_leaf).has_value());
  CHECK(open_in(dir.path())->bundle() == authority->bundle());
}

TEST_CASE("authority: a crash between the steps of a rotation loses neither root") {
  const TempDir dir;
  auto authority = open_in(dir.path());
  const std::string old_bundle = authority->bundle();
  const std::string old_file = slurp(dir / "root.pem");
  REQUIRE(authority->prepare_next_root(kNow).has_value());
  const std::string next_file = slurp(dir / "next-root.pem");
  REQUIRE(authority->activate_next_root(kNow).has_value());
  const std::string new_print = authority->root_fingerprint();

  // The old root is listed as retired already, the new one does not sign yet.
  spill(dir / "root.pem", old_file);
  spill(dir / "next-root.pem", next_file);
  authority = open_in(dir.path());
  CHECK(parse_certificates(authority->bundle())->size() == 2);
  REQUIRE(authority->activate_next_root(kNow).has_value());
  CHECK(authority->root_fingerprint() == new_print);

  // The new one signs, its first file was not removed yet: the next rotation must not find itself.
  spill(dir / "next-root.pem", next_file);
  authority = open_in(dir.path());
  CHECK_FALSE(std::filesystem::exists(dir / "next-root.pem"));
  CHECK(parse_certificates(authority->bundle())->size() == 2);
  REQUIRE(authority->prepare_next_root(kNow).has_value());
  CHECK(parse_certificates(authority->bundle())->size() == 3);
}

TEST_CASE("authority: one that is given signs through its intermediate") {
  const TempDir dir;
  const std::string d = dir.path() + "/";
  spill(dir / "ca.cnf",
        "[ca]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
        "subjectKeyIdentifier=hash\n[no]\nbasicConstraints=critical,CA:FALSE\n");
  struct Case {
    const char* name;
    const char* key;      // Of the intermediate.
    const char* section;  // Of its extensions.
    const char* reason;   // Empty: it works.
  };
  const Case cases[] = {
      {"P-256", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "ca", ""},
      {"P-384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "ca", ""},
      {"RSA 2048", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "ca", ""},
      {"RSA 1024", "-algorithm RSA -pkeyopt rsa_keygen_bits:1024", "ca", "2048 to 8192 bits"},
      {"Ed25519", "-algorithm ED25519", "ca", "not an elliptic-curve key"},
      {"no authority", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "no", "CA:TRUE is missing"},
  };
  REQUIRE(openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=root -days 3650 -config " +
                  d + "ca.cnf -extensions ca -keyout " + d + "root.key -out " + d + "root.pem")
              .status == 0);
  // Its times are those of the machine, so this test takes its "now" from the root.
  const int64_t now = not_before(*parse_certificates(slurp(dir / "root.pem"))->front()) + 60;
  for (const Case& c : cases) {
    CAPTURE(c.name);
    REQUIRE(openssl(std::string("genpkey ") + c.key + " -out " + d + "mid.key").status == 0);
    REQUIRE(
        openssl("req -new -key " + d + "mid.key -subj /CN=mid -config " + d + "ca.cnf -out " + d + "mid.csr").status ==
        0);
    REQUIRE(openssl("x509 -req -in " + d + "mid.csr -CA " + d + "root.pem -CAkey " + d +
                    "root.key -CAcreateserial -days 30 -extfile " + d + "ca.cnf -extensions " + c.section + " -out " +
                    d + "mid.pem")
                .status == 0);
    spill(dir / "chain.pem", slurp(dir / "mid.pem") + slurp(dir / "root.pem"));
    const auto given = BuiltinAuthority::load(d + "chain.pem", d + "mid.key", "", {.trust_domain = kDomain}, now);
    CAPTURE(given.has_value() ? "" : given.error().reason);
    CHECK(given.has_value() == (*c.reason == 0));
    if (!given.has_value()) {
      CHECK(contains(given.error().reason, c.reason));
      continue;
    }
    const auto issued = (*given)->sign(good_csr(), web(), 60, now);
    REQUIRE(issued.has_value());
    CHECK(parse_certificates(issued->chain)->size() == 2);
    CHECK((*given)->bundle() == slurp(dir / "root.pem"));
    CHECK(judge((*given)->bundle(), issued->chain, now) == web());
    CHECK_FALSE((*given)->prepare_next_root(now).has_value());
  }
}

TEST_CASE("authority: a given one that cannot work is refused at start") {
  const TempDir dir;
  const std::string d = dir.path() + "/";
  const auto root = make_root(kDomain, kNow);
  const auto other = make_root(kDomain, kNow);
  spill(dir / "cert.pem", to_pem(*root->cert));
  spill(dir / "key.pem", *private_key_to_pem(*root->key));
  spill(dir / "other.key", *private_key_to_pem(*other->key));
  spill(dir / "other.pem", to_pem(*other->cert));
  const AuthorityOptions options{.trust_domain = kDomain};
  const auto load = [&](const char* cert, const char* key, const char* roots, int64_t now) {
    return BuiltinAuthority::load(d + cert, d + key, *roots == 0 ? "" : d + roots, options, now);
  };
  CHECK(load("cert.pem", "key.pem", "", kNow).has_value());
  CHECK(parse_certificates((*load("cert.pem", "key.pem", "other.pem", kNow))->bundle())->size() == 2);
  CHECK(contains(load("cert.pem", "other.key", "", kNow).error().reason, "does not belong"));
  CHECK(contains(load("none.pem", "key.pem", "", kNow).error().reason, "no such file"));
  CHECK(contains(load("cert.pem", "none.pem", "", kNow).error().reason, "no such file"));
  CHECK(contains(load("cert.pem", "key.pem", "none.pem", kNow).error().reason, "no such file"));
  CHECK(contains(load("cert.pem", "key.pem", "", not_after(*root->cert) + 1).error().reason, "nothing can be signed"));
}

TEST_CASE("authority: the control plane issues its own identity, and first contact accepts it") {
  const TempDir dir;
  const auto authority = open_in(dir.path());
  const auto own = issue_own_identity(*authority, *SpiffeId::parse("spiffe://shop.mesh/pillion/control"), 3600, kNow);
  REQUIRE(own.has_value());
  CHECK(own->spiffe_id == "spiffe://shop.mesh/pillion/control");
  CHECK(own->not_after == kNow + 3600);
  const auto chain = parse_certificates(own->cert_chain + authority->root_pem());
  const auto met = verify_first_contact(*chain, authority->root_fingerprint(), kDomain, kNow);
  REQUIRE(met.has_value());
  CHECK(met->server.to_string() == own->spiffe_id);
  CHECK(met->root_pem == authority->bundle());
}
