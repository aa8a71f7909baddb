#include "xds/control/revision.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "certs/files.h"
#include "xds/control/resources.h"

namespace pillion::xds::control {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "pillion-revision 1\n";
constexpr std::string_view kSuffix = ".rev";
constexpr size_t kNumberDigits = 10;

// Each text stands behind its length, so that nothing in it needs escaping.
void put(std::string& out, std::string_view text) {
  out.append(std::to_string(text.size())).append(1, '\n').append(text).append(1, '\n');
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  bool good() const { return good_; }
  bool at_end() const { return rest_.empty(); }

  std::string text() {
    const int64_t size = number();
    if (!good_ || size < 0 || static_cast<size_t>(size) >= rest_.size() || rest_[size] != '\n') {
      good_ = false;
      return {};
    }
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(size + 1);
    return out;
  }

  int64_t number() {
    int64_t out = 0;
    auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    const size_t used = end - rest_.data();
    if (!good_ || error != std::errc{} || used >= rest_.size() || rest_[used] != '\n') {
      good_ = false;
      return 0;
    }
    rest_.remove_prefix(used + 1);
    return out;
  }

 private:
  std::string_view rest_;
  bool good_ = true;
};

std::optional<uint64_t> number_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  uint64_t out = 0;
  auto [end, error] = std::from_chars(name.data(), name.data() + kNumberDigits, out);
  if (error != std::errc{} || end != name.data() + kNumberDigits) return std::nullopt;
  return out;
}

}  // namespace

// === the form on disk ===

std::string format_revision(const Revision& revision) {
  std::string body;
  body.append(std::to_string(revision.number)).append(1, '\n');
  body.append(std::to_string(revision.wall_us)).append(1, '\n');
  put(body, revision.author);
  put(body, revision.note);
  body.append(std::to_string(revision.files.size())).append(1, '\n');
  for (const SourceFile& file : revision.files) {
    put(body, file.path);
    put(body, file.content);
  }
  return std::string(kMagic) + Hash().add(body).hex() + "\n" + body;
}

std::optional<Revision> parse_revision(std::string_view bytes) {
  constexpr size_t kHashDigits = 16;
  if (!bytes.starts_with(kMagic)) return std::nullopt;
  bytes.remove_prefix(kMagic.size());
  if (bytes.size() <= kHashDigits || bytes[kHashDigits] != '\n') return std::nullopt;
  const std::string_view hash = bytes.substr(0, kHashDigits);
  const std::string_view body = bytes.substr(kHashDigits + 1);
  if (Hash().add(body).hex() != hash) return std::nullopt;
  Reader reader(body);
  Revision out;
  out.number = static_cast<uint64_t>(reader.number());
  out.wall_us = reader.number();
  out.author = reader.text();
  out.note = reader.text();
  const int64_t count = reader.number();
  if (count < 0 || static_cast<size_t>(count) > kMaxSourceFiles) return std::nullopt;
  for (int64_t i = 0; i < count && reader.good(); ++i) {
    std::string path = reader.text();
    out.files.push_back({std::move(path), reader.text()});
  }
  if (!reader.good() || !reader.at_end()) return std::nullopt;
  return out;
}

// === the store ===

std::string RevisionStore::path_of(uint64_t number) const {
  std::string digits = std::to_string(number);
  digits.insert(0, kNumberDigits - std::min(kNumberDigits, digits.size()), '0');
  return dir_ + "/" + digits + std::string(kSuffix);
}

std::vector<uint64_t> RevisionStore::numbers() const {
  std::vector<uint64_t> out;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(dir_, ignored)) {
    if (auto number = number_of(entry.path())) out.push_back(*number);
  }
  std::ranges::sort(out);
  return out;
}

std::expected<RevisionStore, ConfigError> RevisionStore::open(const std::string& state_dir) {
  for (const std::string& dir : {state_dir, state_dir + "/revisions"}) {
    if (auto made = certs::make_private_dir(dir); !made) return std::unexpected(std::move(made.error()));
  }
  RevisionStore out(state_dir + "/revisions");
  const std::vector<uint64_t> numbers = out.numbers();
  if (!numbers.empty()) out.last_number_ = numbers.back();
  for (auto it = numbers.rbegin(); it != numbers.rend() && !out.newest_; ++it) {
    if (auto revision = out.read(*it)) out.newest_ = std::move(*revision);
  }
  return out;
}

std::expected<Revision, ConfigError> RevisionStore::read(uint64_t number) const {
  const std::string path = path_of(number);
  auto bytes = certs::read_file(path, kMaxRevisionBytes);
  if (!bytes) return std::unexpected(std::move(bytes.error()));
  if (!*bytes) return std::unexpected(ConfigError{path, 0, "", "there is no revision " + std::to_string(number)});
  auto revision = parse_revision(**bytes);
  if (!revision || revision->number != number) return std::unexpected(ConfigError{path, 0, "", "is damaged"});
  return std::move(*revision);
}

std::expected<uint64_t, ConfigError> RevisionStore::append(std::vector<SourceFile> files, int64_t wall_us,
                                                           std::string author, std::string note) {
  if (newest_ && newest_->files == files) return newest_->number;
  Revision next{last_number_ + 1, wall_us, std::move(author), std::move(note), std::move(files)};
  if (auto done = certs::replace_file(path_of(next.number), format_revision(next)); !done) {
    return std::unexpected(std::move(done.error()));
  }
  last_number_ = next.number;
  newest_ = std::move(next);
  const std::vector<uint64_t> kept = numbers();
  for (size_t i = 0; i + kKeptRevisions < kept.size(); ++i) (void)certs::remove_file(path_of(kept[i]));
  return last_number_;
}

std::string describe_change(const std::vector<SourceFile>& before, const std::vector<SourceFile>& after) {
  std::map<std::string, const std::string*> old;
  for (const SourceFile& file : before) old[file.path] = &file.content;
  std::vector<std::string> added;
  std::vector<std::string> changed;
  std::vector<std::string> removed;
  for (const SourceFile& file : after) {
    auto it = old.find(file.path);
    if (it == old.end())
      added.push_back(file.path);
    else if (*it->second != file.content)
      changed.push_back(file.path);
    if (it != old.end()) old.erase(it);
  }
  for (const auto& [path, content] : old) removed.push_back(path);
  std::string out;
  auto tell = [&out](const char* what, const std::vector<std::string>& paths) {
    constexpr size_t kMaxNamed = 5;
    if (paths.empty()) return;
    out.append(out.empty() ? "" : "; ").append(what);
    for (size_t i = 0; i < std::min(paths.size(), kMaxNamed); ++i) out.append(i == 0 ? " " : ", ").append(paths[i]);
    if (paths.size() > kMaxNamed) out += " and " + std::to_string(paths.size() - kMaxNamed) + " more";
  };
  tell("added", added);
  tell("changed", changed);
  tell("removed", removed);
  return out.empty() ? "nothing changed" : out;
}

}  // namespace pillion::xds::control
