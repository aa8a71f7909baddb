#include "xds/control/desired_state.h"

#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "proxy/base/log.h"

namespace pillion::xds::control {

namespace {

// Who changed the configuration: the owner of the newest file.
std::string author_of(const std::string& dir, const std::vector<SourceFile>& files) {
  struct stat newest{};
  for (const SourceFile& file : files) {
    struct stat s{};
    if (stat((dir + "/" + file.path).c_str(), &s) != 0) continue;
    const auto when = [](const struct stat& x) { return std::pair(x.st_mtim.tv_sec, x.st_mtim.tv_nsec); };
    if (when(s) >= when(newest)) newest = s;
  }
  if (newest.st_nlink == 0) return "unknown";
  const passwd* entry = getpwuid(newest.st_uid);
  return entry != nullptr ? entry->pw_name : "uid " + std::to_string(newest.st_uid);
}

}  // namespace

DesiredState::DesiredState(event::Loop& loop, std::string config_dir, RevisionStore store, TranslateOptions options,
                           SourceDirEvents& events)
    : config_dir_(std::move(config_dir)),
      judge_(std::move(options)),
      source_(&judge_),
      dir_(loop, config_dir_, events),
      store_(std::move(store)) {}

std::expected<std::unique_ptr<DesiredState>, ConfigError> DesiredState::open(event::Loop& loop, std::string config_dir,
                                                                             std::string state_dir,
                                                                             TranslateOptions options,
                                                                             SourceDirEvents& events) {
  auto store = RevisionStore::open(state_dir);
  if (!store) return std::unexpected(std::move(store.error()));
  std::error_code ignored;
  if (!store->newest() && !std::filesystem::is_directory(config_dir, ignored)) {
    return std::unexpected(
        ConfigError{config_dir, 0, "", "is not a directory, and there is no earlier state to serve"});
  }
  auto out = std::unique_ptr<DesiredState>(
      new DesiredState(loop, std::move(config_dir), std::move(*store), std::move(options), events));
  out->load_revisions();
  if (out->store_.newest()) {
    for (const ConfigError& error : out->source_.restore(out->store_.newest()->files)) {
      PILLION_LOG(error, "configuration: revision {}: {}", out->revision(), error.to_string());
    }
  }
  out->refresh();
  return out;
}

void DesiredState::load_revisions() {
  for (const uint64_t number : store_.numbers()) {
    auto revision = store_.read(number);
    if (!revision) {
      PILLION_LOG(warning, "configuration: {}", revision.error().to_string());
      continue;
    }
    revisions_.push_back({revision->number, revision->wall_us, std::move(revision->author), std::move(revision->note)});
  }
}

bool DesiredState::refresh() {
  auto files = dir_.read();
  if (!files) {
    PILLION_LOG(error, "configuration: {}; the last good state stays in force", files.error().to_string());
    errors_ = {std::move(files.error())};
    refused_ = {config_dir_};
    return false;
  }
  const size_t count = files->size();
  DirectorySource::Result result = source_.apply(*files);
  const std::vector<ConfigError> before = std::exchange(errors_, std::move(result.errors));
  const std::vector<std::string> refused_before = std::exchange(refused_, std::move(result.refused));
  const auto told = [&](const ConfigError& e) {
    return std::ranges::any_of(before, [&](const ConfigError& b) { return b.to_string() == e.to_string(); });
  };
  for (const ConfigError& error : errors_) {
    if (!told(error)) PILLION_LOG(error, "configuration refused: {}", error.to_string());
  }
  for (const std::string& path : refused_before) {
    if (!std::ranges::count(refused_, path)) PILLION_LOG(info, "configuration: {} is in force again", path);
  }
  if (result.changed || !not_recorded_.empty()) record();
  if (result.changed) PILLION_LOG(info, "configuration: revision {} is in force, {} files", revision(), count);
  if (!not_recorded_.empty()) errors_.push_back({"state directory", 0, "", not_recorded_});
  return result.changed;
}

// What cannot be written down is in force all the same, and said to be at risk.
void DesiredState::record() {
  const std::vector<SourceFile> files = source_.good_files();
  const std::string note = describe_change(store_.newest() ? store_.newest()->files : std::vector<SourceFile>(), files);
  const int64_t now = wall_now_us();
  const std::string author = author_of(config_dir_, files);
  auto number = store_.append(files, now, author, note);
  not_recorded_.clear();
  if (!number) {
    not_recorded_ = "the state in force is not kept for a restart: " + number.error().to_string();
    PILLION_LOG(error, "configuration: {}", not_recorded_);
    return;
  }
  if (*number == revision()) return;
  revisions_.push_back({*number, now, author, note});
  if (revisions_.size() > kKeptRevisions) revisions_.erase(revisions_.begin());
}

}  // namespace pillion::xds::control
