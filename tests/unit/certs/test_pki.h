// Certificates that the code under test would never make: two names, a NUL, the wrong usage, an explicit time. Used by
// the tests of certs/ only.
#pragma once

#include <doctest/doctest.h>
#include <openssl/pem.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "certs/openssl.h"
#include "certs/signer.h"
#include "certs/x509_build.h"

namespace pillion::certs::test {

constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15
constexpr char kDomain[] = "shop.mesh";

inline SpiffeId web() {
  return *SpiffeId::parse("spiffe://shop.mesh/ns/shop/sa/web");
}

class TempDir {
 public:
  TempDir() {
    const char* base = std::getenv("TMPDIR");
    std::string name = std::string(base == nullptr ? "/tmp" : base) + "/pillion-certs-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void spill(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
  std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

struct CommandResult {
  int status = -1;
  std::string output;
};

// Runs the openssl program, so that our certificates are judged by something other than our own code.
inline CommandResult openssl(const std::string& arguments) {
  CommandResult result;
  FILE* pipe = ::popen(("openssl " + arguments + " 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  char buffer[4096];
  while (const size_t got = ::fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, got);
  const int raw = ::pclose(pipe);
  result.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
  return result;
}

// What a hand-made leaf looks like; the defaults are those of a good one.
struct LeafPlan {
  std::vector<std::string> uris = {"spiffe://shop.mesh/ns/shop/sa/web"};
  std::vector<std::string> dns_names;
  bool has_names = true;
  bool is_authority = false;
  bool has_key_usage = true;
  uint32_t key_usage = KU_DIGITAL_SIGNATURE;
  std::vector<int> extended_use = {NID_server_auth, NID_client_auth};
  int64_t not_before = kNow - 60;
  int64_t not_after = kNow + 3600;
  const EVP_MD* digest = EVP_sha256();
};

inline void push_name(GENERAL_NAMES& names, int type, std::string_view text) {
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  ASN1_STRING_set(value, text.data(), static_cast<int>(text.size()));
  GENERAL_NAME* name = GENERAL_NAME_new();
  GENERAL_NAME_set0_value(name, type, value);
  sk_GENERAL_NAME_push(&names, name);
}

inline NamesPtr names_of(const LeafPlan& plan) {
  NamesPtr names{GENERAL_NAMES_new()};
  for (const std::string& dns : plan.dns_names) push_name(*names, GEN_DNS, dns);
  for (const std::string& uri : plan.uris) push_name(*names, GEN_URI, uri);
  return names;
}

// Signed by `signer`, whatever it may be worth.
inline CertPtr make_leaf(const Signer& signer, EVP_PKEY& key, const LeafPlan& plan) {
  CertPtr cert{X509_new()};
  X509_set_version(cert.get(), X509_VERSION_3);
  REQUIRE(set_random_serial(*cert));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer.cert.get()));
  REQUIRE(set_validity(*cert, plan.not_before, plan.not_after));
  X509_set_pubkey(cert.get(), &key);
  REQUIRE(add_basic_constraints(*cert, plan.is_authority));
  if (plan.has_key_usage) REQUIRE(add_key_usage(*cert, plan.key_usage));
  if (!plan.extended_use.empty()) {
    EXTENDED_KEY_USAGE* uses = sk_ASN1_OBJECT_new_null();
    for (const int nid : plan.extended_use) sk_ASN1_OBJECT_push(uses, OBJ_nid2obj(nid));
    X509_add1_ext_i2d(cert.get(), NID_ext_key_usage, uses, 0, X509V3_ADD_APPEND);
    sk_ASN1_OBJECT_pop_free(uses, ASN1_OBJECT_free);
  }
  if (plan.has_names) {
    const NamesPtr names = names_of(plan);
    X509_add1_ext_i2d(cert.get(), NID_subject_alt_name, names.get(), 1, X509V3_ADD_APPEND);
  }
  REQUIRE(add_key_identifiers(*cert, *signer.cert));
  REQUIRE(X509_sign(cert.get(), signer.key.get(), plan.digest) > 0);
  return cert;
}

inline Chain chain_of(CertPtr leaf) {
  Chain chain;
  chain.push_back(std::move(leaf));
  return chain;
}

// A signing request as anybody could send it. `spoil` sees it before it is signed, `after` when it is.
inline std::string make_raw_csr(EVP_PKEY& key, const std::function<void(X509_REQ&)>& spoil = {},
                                const std::function<void(X509_REQ&)>& after = {}, EVP_PKEY* sign_with = nullptr) {
  const CsrPtr csr{X509_REQ_new()};
  X509_REQ_set_version(csr.get(), X509_REQ_VERSION_1);
  X509_REQ_set_pubkey(csr.get(), &key);
  if (spoil) spoil(*csr);
  REQUIRE(X509_REQ_sign(csr.get(), sign_with == nullptr ? &key : sign_with, EVP_sha256()) > 0);
  if (after) after(*csr);
  const BioPtr bio{BIO_new(BIO_s_mem())};
  REQUIRE(PEM_write_bio_X509_REQ(bio.get(), csr.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace pillion::certs::test
