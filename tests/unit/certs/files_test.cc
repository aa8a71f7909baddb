#include "certs/files.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include "certs/authority.h"
#include "certs/join_token.h"
#include "tests/unit/certs/test_pki.h"

using namespace pillion;
using namespace pillion::certs;
using namespace pillion::certs::test;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

std::set<std::string> entries(const std::string& dir) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) names.insert(entry.path().filename().string());
  return names;
}

// Runs `body` in a child process, where limits and mounts can be changed; true if it returned 0.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

constexpr int kNoMount = 77;

// A file system of one page in a mount namespace of the child's own.
bool mount_tiny(const std::string& dir) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  return ::mount("tmpfs", dir.c_str(), "tmpfs", 0, "size=4096") == 0;
}

TlsMaterial material(const std::string& mark) {
  return TlsMaterial{.cert_chain = "cert " + mark, .private_key = "key " + mark, .trust_bundle = "ca " + mark};
}

}  // namespace

TEST_CASE("files: a file is replaced whole, with its mode, and leaves nothing beside it") {
  const TempDir dir;
  REQUIRE(replace_file(dir / "a", "one").has_value());
  CHECK(slurp(dir / "a") == "one");
  CHECK(mode_of(dir / "a") == 0600);
  const mode_t old_mask = ::umask(0077);
  REQUIRE(replace_file(dir / "a", "two", kPublicMode).has_value());
  ::umask(old_mask);
  CHECK(slurp(dir / "a") == "two");
  CHECK(mode_of(dir / "a") == 0644);
  CHECK(entries(dir.path()) == std::set<std::string>{"a"});
}

TEST_CASE("files: creating does not touch what is there") {
  const TempDir dir;
  CHECK(create_file(dir / "a", "one") == true);
  CHECK(create_file(dir / "a", "two") == false);
  CHECK(slurp(dir / "a") == "one");
  CHECK(entries(dir.path()) == std::set<std::string>{"a"});
}

TEST_CASE("files: reading tells absent, too large, open to others and unreadable apart") {
  const TempDir dir;
  spill(dir / "a", "12345");
  CHECK_FALSE(read_file(dir / "none").value().has_value());
  CHECK(read_file(dir / "a", 5).value() == "12345");
  CHECK(contains(read_file(dir / "a", 4).error().reason, "larger"));
  CHECK_FALSE(read_file(dir.path()).has_value());
  CHECK(read_secret_file(dir / "a").has_value());
  REQUIRE(::chmod((dir / "a").c_str(), 0604) == 0);
  CHECK(contains(read_secret_file(dir / "a").error().reason, "0600"));
  CHECK(read_secret_file(dir / "a").error().file == dir / "a");
}

TEST_CASE("files: a limit on file size leaves the old content, an error and no litter") {
  const TempDir dir;
  spill(dir / "a", "old");
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 10, .rlim_max = 10};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const auto replaced = replace_file(dir / "a", std::string(100, 'x'));
    if (replaced.has_value() || !contains(replaced.error().to_string(), "a: cannot write")) return 2;
    if (create_file(dir / "b", std::string(100, 'x')).has_value()) return 3;
    if (write_identity(dir / "identity", material(std::string(100, 'x'))).has_value()) return 4;
    return 0;
  });
  CHECK(status == 0);
  CHECK(slurp(dir / "a") == "old");
  CHECK(entries(dir.path()) == std::set<std::string>{"a", "identity"});
  CHECK(read_identity(dir / "identity").value() == std::nullopt);
}

TEST_CASE("files: on a full disk nothing is half written, and the authority and the tokens say so") {
  const TempDir dir;
  const int status = in_child([&] {
    if (!mount_tiny(dir.path())) return kNoMount;
    if (!replace_file(dir / "filler", std::string(4096, 'x'))) return 1;
    const auto authority = BuiltinAuthority::open(dir.path(), {.trust_domain = kDomain}, kNow);
    if (authority.has_value() || !contains(authority.error().reason, "No space left on device")) return 2;
    if (authority.error().file != dir / "root.pem") return 3;
    if (TokenIssuer::open(dir.path(), kNow).has_value()) return 4;
    if (write_identity(dir.path(), material("m")).has_value()) return 5;
    if (read_identity(dir.path()).value().has_value()) return 6;
    for (const std::string& name : entries(dir.path())) {
      if (name != "filler" && !name.ends_with(".pem")) return 7;  // The links to `current` carry no content.
      if (name == "root.pem") return 8;
    }
    // Once there is room, the next start goes well.
    if (!remove_file(dir / "filler")) return 9;
    return BuiltinAuthority::open(dir.path(), {.trust_domain = kDomain}, kNow).has_value() ? 0 : 10;
  });
  if (status == kNoMount) {
    MESSAGE("NOT RUN: a mount namespace is needed to fill a disk");
    return;
  }
  CHECK(status == 0);
}

TEST_CASE("files: an identity is written with its links, modes, and the version before it") {
  const TempDir dir;
  const std::string out = dir / "out";
  CHECK(read_identity(out).value() == std::nullopt);
  for (const char* mark : {"1", "2", "3"}) {
    CAPTURE(mark);
    REQUIRE(write_identity(out, material(mark)).has_value());
    const auto back = read_identity(out);
    REQUIRE((back.has_value() && back->has_value()));
    CHECK((*back)->cert_chain == std::string("cert ") + mark);
    CHECK((*back)->private_key == std::string("key ") + mark);
    CHECK((*back)->trust_bundle == std::string("ca ") + mark);
  }
  CHECK(slurp(out + "/key.pem") == "key 3");
  CHECK(slurp(out + "/cert.pem") == "cert 3");
  CHECK(slurp(out + "/ca.pem") == "ca 3");
  CHECK(mode_of(out) == 0700);
  CHECK(mode_of(out + "/key.pem") == 0600);
  CHECK(mode_of(out + "/cert.pem") == 0644);
  CHECK(entries(out).size() == 6);  // Three links, `current`, this version and the one before.
}

TEST_CASE("files: somebody else's file of the same name is not overwritten") {
  const TempDir dir;
  spill(dir / "key.pem", "mine");
  const auto written = write_identity(dir.path(), material("x"));
  REQUIRE_FALSE(written.has_value());
  CHECK(written.error().file == dir / "key.pem");
  CHECK(slurp(dir / "key.pem") == "mine");
}

TEST_CASE("files: a reader beside a busy writer never sees a pair that does not match") {
  const TempDir dir;
  const std::string out = dir / "out";
  REQUIRE(write_identity(out, material("start")).has_value());
  const pid_t writer = ::fork();
  REQUIRE(writer >= 0);
  if (writer == 0) {
    for (int i = 0; i < 150; ++i) {
      if (!write_identity(out, material(std::to_string(i)))) ::_exit(1);
    }
    ::_exit(0);
  }
  int status = 0;
  int reads = 0;
  while (::waitpid(writer, &status, WNOHANG) == 0) {
    const auto seen = read_identity(out);
    // A reader that is delayed by two rotations finds its directory gone; it gets an error, not a mixture.
    if (!seen.has_value()) continue;
    REQUIRE(seen->has_value());
    CHECK((*seen)->cert_chain.substr(5) == (*seen)->private_key.substr(4));
    CHECK((*seen)->cert_chain.substr(5) == (*seen)->trust_bundle.substr(3));
    ++reads;
  }
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(reads > 0);
}
