#include "proxy/event/file_watch.h"

#include <algorithm>
#include <utility>

namespace pillion::event {

FileWatch::FileWatch(Loop& loop, std::string path, Callback on_change)
    : loop_(loop), path_(std::move(path)), on_change_(on_change) {
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
  watch_directory();
  seen_ = look_at(path_);
  look_.start_after(loop_.executor().timers, kLookInterval);
}

FileWatch::Identity FileWatch::look_at(const std::string& path) {
  struct stat s{};
  if (stat(path.c_str(), &s) != 0) return {};
  return {true, s.st_dev, s.st_ino, s.st_size, int64_t{s.st_mtim.tv_sec} * 1'000'000'000 + s.st_mtim.tv_nsec};
}

void FileWatch::watch_directory() {
  struct stat s{};
  is_directory_ = stat(path_.c_str(), &s) == 0 && S_ISDIR(s.st_mode);
  if (is_directory_) {
    directory_ = path_;
  } else {
    const size_t slash = path_.rfind('/');
    directory_ = slash == std::string::npos ? "." : slash == 0 ? "/" : path_.substr(0, slash);
  }
  directory_identity_ = look_at(directory_);
  handle_ = make_handle<uv_fs_event_t>(this);
  if (uv_fs_event_init(loop_.uv(), &handle_->uv) == 0) {
    handle_->initialised = true;
    const auto on_fs_event = [](uv_fs_event_t* h, const char*, int, int) {
      if (void* self = Handle<uv_fs_event_t>::of(h)->owner) static_cast<FileWatch*>(self)->on_event();
    };
    if (uv_fs_event_start(&handle_->uv, on_fs_event, directory_.c_str(), 0) == 0) return;
  }
  handle_.reset();
}

void FileWatch::on_event() {
  loop_.refresh_now();
  if (!settle_.is_armed()) burst_began_ = loop_.now();
  settle_.start(loop_.executor().timers, std::min(loop_.now() + kSettle, burst_began_ + kSettleMax));
}

void FileWatch::on_settled() {
  tell_if_changed(true);
}

void FileWatch::on_look() {
  look_.start_after(loop_.executor().timers, kLookInterval);
  const Identity now = look_at(directory_);
  // mtime and size of a directory change with its entries; only another inode means another directory.
  const bool replaced = now.exists != directory_identity_.exists || now.inode != directory_identity_.inode ||
                        now.device != directory_identity_.device;
  const Identity target = look_at(path_);
  if (replaced || handle_ == nullptr || (target.exists && !seen_.exists)) watch_directory();
  tell_if_changed(false);
}

void FileWatch::tell_if_changed(bool by_event) {
  const Identity now = look_at(path_);
  // Entries of a directory change without a trace in its own identity, so there every event counts.
  const bool changed = now != seen_ || (by_event && is_directory_);
  seen_ = now;
  if (changed) on_change_();
}

}  // namespace pillion::event
