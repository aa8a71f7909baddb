#include "xds/client/secret_files.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "proxy/base/log.h"
#include "tests/unit/net/tls_pki.h"

using namespace pillion;
using namespace pillion::xds::client;

namespace {

std::string indented(const std::string& pem) {
  std::string out;
  for (const char c : pem) {
    out += c;
    if (c == '\n') out += "        ";
  }
  return out;
}

std::string certificate(const std::string& name, const TlsMaterial& material, const TlsMaterial& key) {
  return fmt::format(
      "- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: {}\n  "
      "tls_certificate:\n"
      "    certificate_chain:\n      inline_string: |\n        {}\n    private_key:\n      inline_string: |\n        "
      "{}\n",
      name, indented(material.cert_chain), indented(key.private_key));
}

struct Files : SecretFileEvents {
  Files() : loop(1, stats) {
    std::string name = std::filesystem::temp_directory_path() / "pillion-secrets-XXXXXX";
    REQUIRE(mkdtemp(name.data()) != nullptr);
    folder = name;
    path = folder + "/sds.yaml";
    auto tls = std::make_shared<config::TlsContext>();
    config::SecretRef& ref = tls->certificates.emplace_back();
    ref.name = "server";
    ref.sds_path = path;
    auto cluster = std::make_shared<config::Cluster>();
    cluster->tls = tls;
    config.clusters["a"] = cluster;
  }
  ~Files() { std::filesystem::remove_all(folder); }
  void write(const std::string& resources) {
    std::ofstream(path + ".new") << "resources:\n" << resources;
    REQUIRE(std::rename((path + ".new").c_str(), path.c_str()) == 0);
  }
  void on_file_secret(const std::string& name, std::shared_ptr<const TlsMaterial> material) override {
    CHECK(name == "server");
    told.push_back(material);
  }
  bool wait(size_t secrets) {
    for (int turn = 0; turn < 200'000 && told.size() < secrets; ++turn) {
      loop.run_once(false);
      usleep(100);
    }
    return told.size() == secrets;
  }

  StatSlab stats;
  event::Loop loop;
  std::string folder, path;
  config::Snapshot config;
  std::vector<std::shared_ptr<const TlsMaterial>> told;
};

}  // namespace

TEST_CASE("secret files: a secret is read at the start, again when it changes, and a bad one changes nothing") {
  const net::test::Authority root("root");
  const auto first = root.issue({.sans = "DNS:a.test"}), second = root.issue({.sans = "DNS:b.test"});
  Files files;
  files.write(certificate("other", *second, *second) + certificate("server", *first, *first));
  SecretFiles secrets(files.loop, files.config, files);
  CHECK(!secrets.is_empty());
  secrets.start();
  REQUIRE(files.told.size() == 1);
  CHECK(files.told[0]->private_key == first->private_key);
  files.write(certificate("server", *second, *first));  // not a pair
  files.write(certificate("server", *second, *second));
  REQUIRE(files.wait(2));
  CHECK(files.told[1]->private_key == second->private_key);
}

TEST_CASE("secret files: a file may come later") {
  const net::test::Authority root("root");
  const auto material = root.issue({.sans = "DNS:a.test"});
  Files files;
  SecretFiles secrets(files.loop, files.config, files);
  secrets.start();
  CHECK(files.told.empty());
  files.write(certificate("server", *material, *material));
  CHECK(files.wait(1));
}

TEST_CASE("secret files: what is wrong is named, and no key is told") {
  const net::test::Authority root("root");
  const auto one = root.issue({.sans = "DNS:a.test"}), two = root.issue({.sans = "DNS:b.test"});
  struct Case {
    std::string resources;
    const char* part;
  };
  for (const Case& c :
       {Case{"- 7\n", "resources[0]"},
        {"[]\n", "there is no secret server"},
        {certificate("other", *one, *one), "there is no secret server"},
        {certificate("server", *one, *two), "resources[0]"},
        {"- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: server\n", "Secret"}}) {
    CAPTURE(c.part);
    Files files;
    files.write(c.resources);
    const FileSecrets read = read_secret_file(files.path, {"server"});
    CHECK(read.secrets.empty());
    std::string text;
    for (const ConfigError& error : read.errors) text += error.to_string() + "\n";
    CAPTURE(text);
    CHECK(text.find(c.part) != std::string::npos);
    CHECK(text.find(files.path) != std::string::npos);
    CHECK(text.find("PRIVATE") == std::string::npos);
  }
}
