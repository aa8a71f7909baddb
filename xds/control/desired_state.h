// What is in force, where it came from, and what of the files is not: the directory, the last good state of each file,
// and the numbered revisions, put together.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "xds/control/judge.h"
#include "xds/control/revision.h"
#include "xds/control/source_dir.h"

namespace pillion::xds::control {

// A revision without its files.
struct RevisionInfo {
  uint64_t number = 0;
  int64_t wall_us = 0;
  std::string author;
  std::string note;
};

class DesiredState {
 public:
  // Begins with the last good state that the state directory holds, then reads the configuration. Errors: the state
  // directory is not usable, or there is neither a configuration directory nor an earlier state.
  static std::expected<std::unique_ptr<DesiredState>, ConfigError> open(event::Loop& loop, std::string config_dir,
                                                                        std::string state_dir, TranslateOptions options,
                                                                        SourceDirEvents& events);

  // Reads the directory again. True: model() is another one now.
  bool refresh();

  const std::shared_ptr<const Model>& model() const { return source_.model(); }
  uint64_t revision() const { return revisions_.empty() ? 0 : revisions_.back().number; }  // 0: none yet
  const std::vector<RevisionInfo>& revisions() const { return revisions_; }                // oldest first
  // What is not in force as it is written, with file, line and field; the last good state of it is.
  const std::vector<ConfigError>& errors() const { return errors_; }
  const std::vector<std::string>& refused_files() const { return refused_; }
  const std::string& config_dir() const { return config_dir_; }

 private:
  DesiredState(event::Loop& loop, std::string config_dir, RevisionStore store, TranslateOptions options,
               SourceDirEvents& events);
  void load_revisions();
  void record();

  std::string config_dir_;
  TranslationJudge judge_;
  DirectorySource source_;
  SourceDir dir_;
  RevisionStore store_;
  std::vector<RevisionInfo> revisions_;
  std::vector<ConfigError> errors_;
  std::vector<std::string> refused_;
  std::string not_recorded_;  // why the newest state is not in the state directory; empty: it is
};

}  // namespace pillion::xds::control
