#include "xds/control/source_dir.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "certs/files.h"
#include "xds/control/yaml_reader.h"

namespace pillion::xds::control {

namespace fs = std::filesystem;

SourceDir::SourceDir(event::Loop& loop, std::string path, SourceDirEvents& events)
    : loop_(loop), path_(std::move(path)), events_(events) {}

namespace {

bool is_yaml(const fs::path& path) {
  return path.extension() == ".yaml" || path.extension() == ".yml";
}

SourceFile read_source(const std::string& path, std::string relative) {
  SourceFile out{.path = std::move(relative)};
  auto content = certs::read_file(path, kMaxYamlFileBytes);
  if (!content)
    out.unreadable = "cannot be read: " + content.error().reason;
  else if (!*content)
    out.unreadable = "cannot be read: it is gone";
  else
    out.content = std::move(**content);
  return out;
}

}  // namespace

std::expected<std::vector<SourceFile>, ConfigError> SourceDir::read() {
  std::vector<SourceFile> out;
  ConfigError error;
  seen_.clear();
  if (std::exchange(failed_, false)) watches_.clear();  // they may be of what was there before
  const bool whole = scan("", 0, out, error);
  std::erase_if(watches_, [this](const auto& entry) { return !entry.first.empty() && !seen_.contains(entry.first); });
  failed_ = !whole;
  if (!whole) return std::unexpected(std::move(error));
  std::ranges::sort(out, {}, &SourceFile::path);
  return out;
}

// The watch of a directory is set before it is listed, so that nothing that comes between the two is missed.
bool SourceDir::scan(const std::string& relative, size_t depth, std::vector<SourceFile>& out, ConfigError& error) {
  const std::string path = relative.empty() ? path_ : path_ + "/" + relative;
  const auto fail = [&](std::string reason) {
    error = {path, 0, "", std::move(reason)};
    return false;
  };
  if (depth > kDepthMax) return fail("is nested more than " + std::to_string(kDepthMax) + " directories deep");
  if (seen_.size() >= kDirectoriesMax) return fail("holds too many directories");
  seen_.insert(relative);
  auto& watch = watches_[relative];
  if (watch == nullptr) {
    watch = std::make_unique<event::FileWatch>(loop_, path, event::Callback::bind<&SourceDir::on_change>(this));
  }
  std::error_code code;
  fs::directory_iterator entries(path, code);
  if (code) return fail("the directory cannot be read: " + code.message());
  for (; entries != fs::directory_iterator(); entries.increment(code)) {
    const fs::path& entry = entries->path();
    const std::string name = entry.filename().string();
    if (name.starts_with('.')) continue;
    const std::string below = relative.empty() ? name : relative + "/" + name;
    std::error_code of_status;
    const fs::file_status status = fs::status(entry, of_status);
    if (fs::is_directory(status)) {
      if (!scan(below, depth + 1, out, error)) return false;
    } else if (is_yaml(entry) && (fs::is_regular_file(status) || of_status)) {
      out.push_back(read_source(entry.string(), below));
    }
    if (out.size() > kMaxSourceFiles) break;  // whoever applies them says so
  }
  return !code || fail("the directory cannot be read: " + code.message());
}

}  // namespace pillion::xds::control
