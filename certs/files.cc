#include "certs/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "certs/encoding.h"
#include "certs/openssl.h"

namespace pillion::certs {
namespace {

constexpr char kCurrent[] = "current";
constexpr char kVersionPrefix[] = ".v-";
constexpr char kCertFile[] = "cert.pem";
constexpr char kKeyFile[] = "key.pem";
constexpr char kCaFile[] = "ca.pem";
constexpr size_t kTemporarySuffixBytes = 8;

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&&) = delete;
  ~Fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_;
};

std::unexpected<ConfigError> os_failure(const char* what, const std::string& file) {
  const int error = errno;  // Before anything else can change it.
  return failure(std::string(what) + ": " + std::strerror(error), file);
}

// Removes a file that was never given its name.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  const char* path() const { return path_.c_str(); }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::string> temporary_name(const std::string& path) {
  auto suffix = secure_random(kTemporarySuffixBytes);
  if (!suffix) return failure_of(suffix);
  return path + ".tmp-" + hex_encode(*suffix);
}

// A new name is on the disk only once its directory is.
Result<void> sync_dir(const std::string& dir) {
  const Fd fd{::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd || ::fsync(fd.get()) != 0) return os_failure("cannot sync the directory", dir);
  return {};
}

Result<void> write_all(int fd, std::string_view content, const std::string& named) {
  while (!content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return os_failure("cannot write, nothing was changed", named);
    content.remove_prefix(static_cast<size_t>(written));
  }
  return {};
}

// Writes `content` to the new file `path` and syncs it; `named` is what the error speaks of. Some file systems report a
// full disk only at fsync or at close, so both are looked at.
Result<void> write_new_file(const char* path, const std::string& named, std::string_view content, mode_t mode) {
  const int fd = ::open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
  if (fd < 0) return os_failure("cannot create the file", named);
  auto written = write_all(fd, content, named);
  // The umask may have taken bits away.
  if (written && (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0)) {
    written = os_failure("cannot write, nothing was changed", named);
  }
  if (::close(fd) != 0 && written) written = os_failure("cannot write, nothing was changed", named);
  return written;
}

Result<std::string> read_open_file(int fd, const std::string& path, size_t max_bytes) {
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return os_failure("cannot read the file", path);
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > max_bytes) {
      return failure("the file is larger than " + std::to_string(max_bytes) + " bytes", path);
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

Result<std::optional<std::string>> read_checked(const std::string& path, size_t max_bytes, bool secret) {
  const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return os_failure("cannot open the file", path);
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return os_failure("cannot open the file", path);
  if (secret && (info.st_mode & 077) != 0) {
    return failure("the file holds a secret and others than its owner may use it; give it mode 0600", path);
  }
  auto content = read_open_file(fd.get(), path, max_bytes);
  if (!content) return failure_of(content);
  return std::move(*content);
}

// What `current` points to: the name of a version directory, or nothing.
std::string current_version(const std::string& dir) {
  char target[256];
  const ssize_t size = ::readlink((dir + "/" + kCurrent).c_str(), target, sizeof target);
  return size <= 0 ? std::string() : std::string(target, static_cast<size_t>(size));
}

Result<void> point_link(const std::string& target, const std::string& link) {
  auto temporary = temporary_name(link);
  if (!temporary) return failure_of(temporary);
  TemporaryFile guard(*temporary);
  if (::symlink(target.c_str(), guard.path()) != 0) return os_failure("cannot make the link", link);
  if (::rename(guard.path(), link.c_str()) != 0) return os_failure("cannot make the link", link);
  guard.keep();
  return {};
}

// DIR/cert.pem and its like, made once. A file of that name which is not our link belongs to somebody.
Result<void> ensure_link(const std::string& dir, const char* name) {
  const std::string link = dir + "/" + name;
  const std::string wanted = std::string(kCurrent) + "/" + name;
  char target[256];
  const ssize_t size = ::readlink(link.c_str(), target, sizeof target);
  if (size >= 0 && std::string_view(target, static_cast<size_t>(size)) == wanted) return {};
  if (size >= 0 || errno != ENOENT) return failure("something else has this name; move it away", link);
  return point_link(wanted, link);
}

bool is_version(const std::string& name) {
  return name.starts_with(kVersionPrefix);
}

void remove_version(const std::string& dir, const std::string& name) {
  std::error_code ignored;  // What stays behind is found again at the next rotation.
  if (is_version(name)) std::filesystem::remove_all(dir + "/" + name, ignored);
}

void remove_other_versions(const std::string& dir, const std::string& keep, const std::string& keep_too) {
  std::error_code error;
  std::filesystem::directory_iterator entry(dir, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name != keep && name != keep_too) remove_version(dir, name);
  }
}

Result<void> fill_version(const std::string& version_dir, const TlsMaterial& material) {
  struct Part {
    const char* name;
    const std::string& content;
    mode_t mode;
  };
  const Part parts[] = {{kCertFile, material.cert_chain, kPublicMode},
                        {kKeyFile, material.private_key, kSecretMode},
                        {kCaFile, material.trust_bundle, kPublicMode}};
  for (const Part& part : parts) {
    const std::string path = version_dir + "/" + part.name;
    if (auto ok = write_new_file(path.c_str(), path, part.content, part.mode); !ok) return ok;
  }
  return sync_dir(version_dir);
}

Result<std::string> read_at(int dir_fd, const std::string& dir, const char* name) {
  const std::string path = dir + "/" + kCurrent + "/" + name;
  const Fd fd{::openat(dir_fd, name, O_RDONLY | O_CLOEXEC)};
  if (!fd) return os_failure("cannot open the file", path);
  return read_open_file(fd.get(), path, kMaxStateFileBytes);
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view content, mode_t mode) {
  auto name = temporary_name(path);
  if (!name) return failure_of(name);
  TemporaryFile temporary(std::move(*name));
  if (auto ok = write_new_file(temporary.path(), path, content, mode); !ok) return ok;
  if (::rename(temporary.path(), path.c_str()) != 0) return os_failure("cannot replace the file", path);
  temporary.keep();
  return sync_dir(parent_of(path));
}

Result<bool> create_file(const std::string& path, std::string_view content, mode_t mode) {
  auto name = temporary_name(path);
  if (!name) return failure_of(name);
  const TemporaryFile temporary(std::move(*name));
  if (auto ok = write_new_file(temporary.path(), path, content, mode); !ok) return failure_of(ok);
  // link(2) never replaces: the second of two starting processes sees the first one's file.
  if (::link(temporary.path(), path.c_str()) != 0) {
    if (errno == EEXIST) return false;
    return os_failure("cannot create the file", path);
  }
  if (auto ok = sync_dir(parent_of(path)); !ok) return failure_of(ok);
  return true;
}

Result<std::optional<std::string>> read_file(const std::string& path, size_t max_bytes) {
  return read_checked(path, max_bytes, /*secret=*/false);
}

Result<std::optional<std::string>> read_secret_file(const std::string& path, size_t max_bytes) {
  return read_checked(path, max_bytes, /*secret=*/true);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return os_failure("cannot remove the file", path);
  return sync_dir(parent_of(path));
}

Result<void> make_private_dir(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(parent_of(path), error);
  if (error) return failure("cannot make the directory: " + error.message(), parent_of(path));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return os_failure("cannot make the directory", path);
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return os_failure("cannot use the directory", path);
  if (!S_ISDIR(info.st_mode)) return failure("this is not a directory", path);
  return {};
}

Result<void> write_identity(const std::string& dir, const TlsMaterial& material) {
  if (auto ok = make_private_dir(dir); !ok) return ok;
  const Fd lock{::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return os_failure("cannot lock the directory", dir);
  for (const char* name : {kCertFile, kKeyFile, kCaFile}) {
    if (auto ok = ensure_link(dir, name); !ok) return ok;
  }
  std::string version_dir = dir + "/" + kVersionPrefix + "XXXXXX";
  if (::mkdtemp(version_dir.data()) == nullptr) return os_failure("cannot make a directory in it", dir);
  const std::string version = version_dir.substr(dir.size() + 1);
  const std::string previous = current_version(dir);
  auto done = fill_version(version_dir, material);
  if (done) done = point_link(version, dir + "/" + kCurrent);
  if (!done) {
    remove_version(dir, version);
    return done;
  }
  remove_other_versions(dir, version, previous);
  return sync_dir(dir);
}

Result<std::optional<IdentityFiles>> read_identity(const std::string& dir) {
  // Opened once: a flip between the three reads does not mix two versions.
  const std::string current = dir + "/" + kCurrent;
  const Fd fd{::open(current.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!fd && errno == ENOENT) return std::nullopt;
  if (!fd) return os_failure("cannot open the directory", current);
  IdentityFiles files;
  const std::pair<const char*, std::string*> parts[] = {
      {kCertFile, &files.cert_chain}, {kKeyFile, &files.private_key}, {kCaFile, &files.trust_bundle}};
  for (const auto& [name, into] : parts) {
    auto content = read_at(fd.get(), dir, name);
    if (!content) return failure_of(content);
    *into = std::move(*content);
  }
  return files;
}

}  // namespace pillion::certs
