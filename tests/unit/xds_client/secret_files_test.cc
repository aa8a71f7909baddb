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

std::string escaped(const std::string& pem) {
  std::string out;
  for (const char c : pem) out += c == '\n' ? "\\n" : std::string(1, c);
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
    cluster->name = "a";
    cluster->tls = tls;
    config::Snapshot config;
    config.clusters.insert_or_assign("a", cluster);
    wishes = file_wishes(config);
  }
  ~Files() { std::filesystem::remove_all(folder); }
  void write(const std::string& resources) {
    std::ofstream(path + ".new") << "resources:\n" << resources;
    REQUIRE(std::rename((path + ".new").c_str(), path.c_str()) == 0);
  }
  void on_file_secret(const std::string& key, std::shared_ptr<const TlsMaterial> material) override {
    CHECK(key == path + "#server");
    told.push_back(material);
  }
  void on_file_secret_gone(const std::string& key) override { gone.push_back(key); }
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
  FileWishes wishes;
  std::vector<std::shared_ptr<const TlsMaterial>> told;
  std::vector<std::string> gone;
};

}  // namespace

TEST_CASE("secret files: a secret is read at the start, again when it changes, and a bad one changes nothing") {
  const net::test::Authority root("root");
  const auto first = root.issue({.sans = "DNS:a.test"}), second = root.issue({.sans = "DNS:b.test"});
  Files files;
  files.write(certificate("other", *second, *second) + certificate("server", *first, *first));
  SecretFiles secrets(files.loop, files);
  secrets.watch(files.wishes);
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
  SecretFiles secrets(files.loop, files);
  secrets.watch(files.wishes);
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
        {certificate("server", *one, *two), "resources[0].tls_certificate: the key does not belong to the certificate"},
        {"- '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret\n  name: server\n  "
         "validation_context: {trusted_ca: {inline_string: \"" +
             escaped(root.pem()) + "\"}}\n",
         "resources[0].validation_context: does not fit its use: cluster a wants a tls_certificate of this name"},
        {"- '@type': type.googleapis.com/envoy.config.cluster.v3.Cluster\n  name: server\n", "Secret"}}) {
    CAPTURE(c.part);
    Files files;
    files.write(c.resources);
    const FileSecrets read = read_secret_file(files.path, files.wishes.at(files.path).names);
    CHECK(read.secrets.empty());
    std::string text;
    for (const ConfigError& error : read.errors) text += error.to_string() + "\n";
    CAPTURE(text);
    CHECK(text.find(c.part) != std::string::npos);
    CHECK(text.find(files.path) != std::string::npos);
    CHECK(text.find("PRIVATE") == std::string::npos);
  }
}

TEST_CASE("secret files: what is wanted may change; what nobody wants any more is told as gone, and not read again") {
  const net::test::Authority root("root");
  const auto first = root.issue({.sans = "DNS:a.test"}), second = root.issue({.sans = "DNS:b.test"});
  Files files;
  files.write(certificate("server", *first, *first));
  SecretFiles secrets(files.loop, files);
  secrets.watch({});
  CHECK(files.told.empty());
  secrets.watch(files.wishes);
  CHECK(files.told.size() == 1);
  secrets.watch(files.wishes);
  CHECK(files.told.size() == 1);
  FileWishes more = files.wishes;
  more[files.path].names["other"].of_trust = "cluster b";
  more[files.folder + "/none.yaml"].names["server"].of_certificate = "cluster b";
  secrets.watch(more);
  CHECK(files.told.size() == 1);
  CHECK(files.gone.empty());
  secrets.watch({});
  CHECK(files.gone == std::vector<std::string>{files.path + "#server"});
  files.write(certificate("server", *second, *second));
  for (int turn = 0; turn < 1000; ++turn) {
    files.loop.run_once(false);
    usleep(100);
  }
  CHECK(files.told.size() == 1);
  secrets.watch(files.wishes);
  CHECK(files.told.size() == 2);
}

TEST_CASE("secret files: a move in the watched directory makes the file be read again") {
  const net::test::Authority root("root");
  const auto first = root.issue({.sans = "DNS:a.test"}), second = root.issue({.sans = "DNS:b.test"});
  Files files;
  // As Kubernetes mounts a Secret: the file's folder is a link, and a rotation moves another link over it.
  const auto version = [&](const char* name, const TlsMaterial& material) {
    std::filesystem::create_directory(files.folder + "/" + name);
    std::ofstream(files.folder + "/" + name + "/sds.yaml")
        << "resources:\n" + certificate("server", material, material);
  };
  version("v1", *first);
  version("v2", *second);
  std::filesystem::create_symlink("v1", files.folder + "/data");
  const FileWish wish = files.wishes.begin()->second;
  files.path = files.folder + "/data/sds.yaml";
  FileWishes wishes;
  wishes[files.path] = wish;
  wishes[files.path].directories.insert(files.folder);
  SecretFiles secrets(files.loop, files);
  secrets.watch(wishes);
  REQUIRE(files.told.size() == 1);
  std::filesystem::create_symlink("v2", files.folder + "/new");
  std::filesystem::rename(files.folder + "/new", files.folder + "/data");
  const auto before = std::chrono::steady_clock::now();
  REQUIRE(files.wait(2));
  CHECK(std::chrono::steady_clock::now() - before <
        std::chrono::milliseconds(1500));  // sooner than a look would see it
  CHECK(files.told[1]->cert_chain == second->cert_chain);
}
