// Tells when a file or a directory has changed. It watches the directory, not the file, so it survives writes to a
// temporary name with a rename over the old one, and the flip of the `..data` symlink by which Kubernetes updates a
// mounted ConfigMap or Secret. Bursts are told once. A slow look at the clock's pace catches what inotify cannot see:
// a directory that does not exist yet, one that was replaced, an overflow of the kernel's queue, a network file system.
#pragma once

#include <sys/stat.h>
#include <uv.h>

#include <string>

#include "proxy/base/time.h"
#include "proxy/event/callback.h"
#include "proxy/event/handle.h"
#include "proxy/event/loop.h"

namespace pillion::event {

class FileWatch {
 public:
  static constexpr Duration kSettle{15'000};     // quiet for so long: the burst is over
  static constexpr Duration kSettleMax{90'000};  // told at the latest so long after the first event
  static constexpr Duration kLookInterval{2'000'000};

  // `path` need not exist. A directory is watched one level deep. The callback comes from the loop, never from here.
  FileWatch(Loop& loop, std::string path, Callback on_change);

  const std::string& path() const { return path_; }

 private:
  // What tells one version of a file from the next; a directory's own times change with its entries.
  struct Identity {
    bool exists = false;
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    int64_t mtime_ns = 0;
    bool operator==(const Identity&) const = default;
  };
  static Identity look_at(const std::string& path);
  void watch_directory();
  void on_event();
  void on_settled();
  void on_look();
  void tell_if_changed(bool by_event);

  Loop& loop_;
  std::string path_;
  Callback on_change_;
  bool is_directory_ = false;
  std::string directory_;  // what inotify is pointed at
  Identity directory_identity_;
  Identity seen_;
  HandlePtr<uv_fs_event_t> handle_;  // null while the directory cannot be watched
  Instant burst_began_{};
  Timer settle_{Timer::bind<&FileWatch::on_settled>(this)};
  Timer look_{Timer::bind<&FileWatch::on_look>(this)};
};

}  // namespace pillion::event
