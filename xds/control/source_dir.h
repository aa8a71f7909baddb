// A directory of YAML as the source of desired state: reads it, with its subdirectories, and tells when it has changed.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "proxy/base/config_error.h"
#include "proxy/event/file_watch.h"
#include "proxy/event/loop.h"
#include "xds/control/yaml_source.h"

namespace pillion::xds::control {

class SourceDirEvents {
 public:
  virtual void on_source_changed() = 0;  // read() has something new, perhaps

 protected:
  ~SourceDirEvents() = default;
};

// Files named *.yaml and *.yml, in the order of their paths. Names that begin with a dot are left out, so the `..data`
// of a mounted ConfigMap is not read twice.
class SourceDir final : public event::Steppable {
 public:
  static constexpr size_t kDepthMax = 8;
  static constexpr size_t kDirectoriesMax = 1000;

  SourceDir(event::Loop& loop, std::string path, SourceDirEvents& events);

  // Every file with its path below the directory; watches whatever directories are there now. A file that cannot be
  // read says so itself; an error means that the directory cannot be. It blocks: YAML of a mesh is small.
  std::expected<std::vector<SourceFile>, ConfigError> read();

 private:
  bool scan(const std::string& relative, size_t depth, std::vector<SourceFile>& out, ConfigError& error);
  void on_change() { loop_.executor().ready(*this); }
  void step() override { events_.on_source_changed(); }

  event::Loop& loop_;
  std::string path_;
  SourceDirEvents& events_;
  std::map<std::string, std::unique_ptr<event::FileWatch>> watches_;  // by relative path; "" is the directory itself
  bool failed_ = false;                                               // the last read
  std::set<std::string> seen_;                                        // directories of the read under way
};

}  // namespace pillion::xds::control
