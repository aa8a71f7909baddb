// Files -> Model. Pure: whoever watches the directory hands in what it holds.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "xds/control/model.h"
#include "xds/control/yaml_kinds.h"

namespace pillion::xds::control {

inline constexpr size_t kMaxSourceFiles = 10000;

struct SourceFile {
  std::string path;
  std::string content;
  std::string unreadable;  // why there is no content (permissions, too large); empty: it was read
  bool operator==(const SourceFile&) const = default;
};

// A last opinion on a model that holds together, such as whether everything that is made of it would be accepted.
class ModelJudge {
 public:
  // The problems; none: it may come into force. A problem may name no file: then whichever change brought it is found.
  virtual std::vector<struct Problem> judge(const Model& model) = 0;

 protected:
  ~ModelJudge() = default;
};

// The documents of one file, or what is wrong with it.
struct ParsedFile {
  std::string content;
  std::vector<Document> documents;
  std::vector<ConfigError> errors;
};
std::shared_ptr<const ParsedFile> parse_yaml_file(const SourceFile& file);

// Keeps the last good state of each file. A file takes effect as a whole or not at all:
//
//   parses?  --no-->  its last good state stays in force (nothing, if there never was one)
//     | yes
//   the model of all files holds together?  --no-->  the changed file that broke it goes back to its last good state,
//     | yes                                          and the question is asked again
//   in force
//
// So a bad file never takes effect, and files that have nothing to do with it still change.
class DirectorySource {
 public:
  struct Result {
    std::shared_ptr<const Model> model;  // what is in force; never null
    bool changed = false;                // by this call
    std::vector<ConfigError> errors;     // of the files that are not in force as they are written
    std::vector<std::string> refused;    // their paths
  };

  // The judge may be null, and must outlive the source.
  explicit DirectorySource(ModelJudge* judge = nullptr);

  // The last good state of an earlier run. Without it a restart with a bad file would begin with nothing.
  // What does not read any more (a newer version refuses it) is left out and returned as errors.
  std::vector<ConfigError> restore(const std::vector<SourceFile>& good);

  // All files of the directory, in any order; a file that is not listed has been removed.
  Result apply(const std::vector<SourceFile>& files);

  // What is in force, for the state directory.
  std::vector<SourceFile> good_files() const;
  const std::shared_ptr<const Model>& model() const { return model_; }

 private:
  using Files = std::map<std::string, std::shared_ptr<const ParsedFile>>;

  std::shared_ptr<const ParsedFile> parse(const SourceFile& file) const;
  void read(const std::vector<SourceFile>& files, Files& candidate, Result& result);
  bool revert(Files& candidate, const std::string& path) const;
  std::shared_ptr<Model> build(const Files& files, std::vector<struct Problem>& problems) const;
  bool revert_culprits(Files& candidate, const struct Problem& problem, Result& result) const;
  std::vector<std::string> changed_paths(const Files& candidate) const;
  bool revert_lone_culprit(Files& candidate, std::set<std::string>& back) const;

  ModelJudge* judge_;
  Files good_;
  std::map<std::string, std::shared_ptr<const ParsedFile>> last_read_;  // saves parsing what did not change
  std::shared_ptr<const Model> model_;
};

}  // namespace pillion::xds::control
